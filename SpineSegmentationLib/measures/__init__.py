"""What a result answers: frames, heights, fractures, density and alignment, and how sure each of them is."""
