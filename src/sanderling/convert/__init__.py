"""From another framework's model to a ``.tflite`` one, and the proof that both give the same answers."""
