"""The commands: parse, delegate, exit code. What a command needs beside click is imported when it is called."""
