"""Where models are timed: this machine, one reached by SSH, a phone reached by adb."""
