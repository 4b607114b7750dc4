"""The host's memory: sites, deploys and blobs in files, and every change that can be made to them."""
