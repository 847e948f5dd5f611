"""The network, its distance map, and the device that it runs on."""
