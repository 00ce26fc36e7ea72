"""What every other package may use: errors meant for people, atomic files, progress."""
