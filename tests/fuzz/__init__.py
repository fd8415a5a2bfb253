"""Every parser of ours, fed odd input: a short while in `make test`, for as long as asked in `make fuzz`."""
