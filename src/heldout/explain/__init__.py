"""What of an example a network's answer rests on, and whether that depends on what it has learned."""
