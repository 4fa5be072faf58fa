"""The networks: backbones that give one feature map, and what is read from it."""
