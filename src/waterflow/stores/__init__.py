"""Object stores: a folder or an S3 bucket, with content addresses on top."""
