"""A client that does not repeat what is refused."""


def client(target):
    """One of the target's root user."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=target.endpoint,
        aws_access_key_id=target.access_key,
        aws_secret_access_key=target.secret_key,
        region_name=target.region,
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}, read_timeout=30),
    )
