"""What `voxforge doctor` looks at: every part that VoxForge needs, one finding or more for each."""
