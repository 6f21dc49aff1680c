"""Forms of requests and answers, by protocol."""
