"""Ways to real media, each with a packaged tool underneath. None believes what its tool says of itself."""
