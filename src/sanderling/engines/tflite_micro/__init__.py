"""TFLite Micro: what a microcontroller would answer, and how much memory it would take."""

from sanderling.engines.tflite_micro.engine import TFLiteMicro

ENGINE = TFLiteMicro()
