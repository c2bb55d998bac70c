"""From a source to split Arrow files with a card, and from there to batches. Only `batches` imports torch."""
