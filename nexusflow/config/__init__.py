"""The whole configuration: typed sections of every package, put together and resolved run by run."""
