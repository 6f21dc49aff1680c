"""Object stores with content addresses on top. A store is a folder or an S3 bucket."""
