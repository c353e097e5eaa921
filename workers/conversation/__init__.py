"""What is said in a call: brain, turn loop, tools and analysis."""
