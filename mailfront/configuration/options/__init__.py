"""The options of mailfront, a module per group; each exports the tuple `OPTIONS`."""
