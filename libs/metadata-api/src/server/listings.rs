//! Listings.

use tonic::{Request, Response, Status, async_trait};

use super::{Calls, answer, decoded};
use crate::wire::proto;

#[async_trait]
impl proto::listings_server::Listings for Calls {
    async fn list_objects(
        &self,
        request: Request<proto::ListObjectsRequest>,
    ) -> Result<Response<proto::ObjectPage>, Status> {
        answer(self.metadata.list_objects(decoded(request)?).await)
    }

    async fn list_versions(
        &self,
        request: Request<proto::ListVersionsRequest>,
    ) -> Result<Response<proto::VersionPage>, Status> {
        answer(self.metadata.list_versions(decoded(request)?).await)
    }

    async fn list_uploads(
        &self,
        request: Request<proto::ListUploadsRequest>,
    ) -> Result<Response<proto::UploadPage>, Status> {
        answer(self.metadata.list_uploads(decoded(request)?).await)
    }
}
