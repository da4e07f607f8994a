//! What of public access is shut out of a bucket: by its own block and by its account's, as both are now. Amazon S3 User Guide,
//! "Blocking public access to your Amazon S3 storage".

use futures_util::future::try_join;
use metadata_api::{AccountId, Bucket, Subresource};
use s3_wire::{
    ErrorCode, S3Error,
    address::Address,
    xml::{PublicAccessBlock, parse_public_access_block},
};

use super::authority::unreadable;
use crate::{Gateway, error::from_metadata, identity::Directory};

/// What either block shuts out of a bucket, its own or that of its owner's account. One that cannot be read is an error, as it may shut something out.
pub(crate) async fn public_access_block(
    gateway: &Gateway,
    bucket: &Bucket,
    address: &Address,
) -> Result<PublicAccessBlock, S3Error> {
    let own = async {
        let found = gateway.metadata.get_subresource(&bucket.name, Subresource::PublicAccessBlock).await;
        let document = found.map_err(|error| from_metadata(error, address))?;
        let block = document.map(|document| parse_public_access_block(&document)).transpose();
        block.map(Option::unwrap_or_default).map_err(|error| unreadable(bucket.name.as_str(), &error))
    };
    let (own, account) =
        try_join(own, public_access_block_of_account(gateway, &bucket.owner, address)).await?;
    Ok(own.with(account))
}

/// What an account's shuts out of all its buckets.
pub(crate) async fn public_access_block_of_account(
    gateway: &Gateway,
    account: &AccountId,
    address: &Address,
) -> Result<PublicAccessBlock, S3Error> {
    let directory = gateway.identities.read(&*gateway.metadata, account).await;
    let directory = directory.map_err(|error| from_metadata(error, address))?;
    Ok(block_in(&directory)?.unwrap_or_default())
}

/// The account's, if it has one.
pub(crate) fn block_in(directory: &Directory) -> Result<Option<PublicAccessBlock>, S3Error> {
    directory.public_access_block().map_err(|_| {
        tracing::error!("what is set for the account cannot be read");
        S3Error::new(ErrorCode::InternalError)
    })
}
