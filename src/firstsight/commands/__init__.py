"""What the commands of the command line do: parse their flags, call, and say the result."""
