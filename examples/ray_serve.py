"""A model on Ray Serve, with the Open Inference Protocol, until Ctrl-C.

pip install 'sanderling[serve,cluster]'
python examples/ray_serve.py model.tflite
curl localhost:8000/v2/models/model
"""

import sys
from pathlib import Path

from ray import serve

import sanderling as sd
from sanderling.cluster.serving import on_ray

model = str(Path(sys.argv[1]).resolve())
serve.run(on_ray(lambda: sd.serve_app(model), replicas=2), blocking=True)
