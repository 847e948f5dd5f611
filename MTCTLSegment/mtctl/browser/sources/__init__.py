"""Where the reviewer takes its cases from: a case store or a folder of results."""
