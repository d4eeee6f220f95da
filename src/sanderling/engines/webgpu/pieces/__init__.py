"""What runs where: the plan, its pieces on the GPU and the CPU, and a reason for every operator."""
