"""Sessions for users whose mailbox is elsewhere: handed to the server that holds it."""
