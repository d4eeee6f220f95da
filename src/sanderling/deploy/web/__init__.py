"""Web: a page that runs the model in the browser, on WebGPU."""

from sanderling.deploy.target import Target
from sanderling.deploy.web.browser import check
from sanderling.deploy.web.build import build, refuse

TARGET = Target(
    "web",
    "a page for any browser with WebGPU, in one file",
    refuse,
    build,
    check,
)
