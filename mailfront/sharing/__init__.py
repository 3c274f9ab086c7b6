"""What the front ends of one site share through Redis or Valkey: ticket keys, login scores."""
