"""The WebGPU library, its adapters and devices: the only folder that knows of wgpu-native or Dawn."""
