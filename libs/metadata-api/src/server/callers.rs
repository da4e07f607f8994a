//! Which services may make which calls, where services prove by certificates what they are.

use types::{
    Role::{Admin, Chunk, Gateway, Worker},
    Roles,
};

/// Serves clients.
const FRONT: Roles = Roles::of(&[Gateway]);
/// Works in the background.
const BACK: Roles = Roles::of(&[Worker]);
/// What operators change.
const OPERATOR: Roles = Roles::of(&[Admin]);
const DATA: Roles = Roles::of(&[Gateway, Worker]);
const BACK_OPERATOR: Roles = Roles::of(&[Worker, Admin]);
const FRONT_OPERATOR: Roles = Roles::of(&[Gateway, Admin]);
const DATA_OPERATOR: Roles = Roles::of(&[Gateway, Worker, Admin]);
const ALL: Roles = Roles::of(&[Gateway, Worker, Chunk, Admin]);

/// Every call of the contract in the order of the paths, and whose it is. A metadata service calls nobody.
const CALLERS: &[(&str, Roles)] = &[
    ("Buckets/CreateBucket", FRONT),
    ("Buckets/DeleteBucket", FRONT),
    ("Buckets/GetBucket", DATA_OPERATOR),
    ("Buckets/GetSubresource", DATA),
    ("Buckets/ListBuckets", DATA_OPERATOR),
    ("Buckets/ListBucketsWith", DATA_OPERATOR),
    ("Buckets/ListBucketsWithInventories", BACK),
    ("Buckets/ListInventories", DATA),
    ("Buckets/MarkInventory", BACK),
    ("Buckets/SetInventory", FRONT),
    ("Buckets/SetObjectLock", FRONT),
    ("Buckets/SetQuota", OPERATOR),
    ("Buckets/SetSubresource", FRONT),
    ("Buckets/SetVersioning", FRONT),
    ("Cluster/DefineStorageClass", BACK_OPERATOR),
    ("Cluster/GetClusterMap", ALL),
    ("Cluster/GetDiskHistory", DATA_OPERATOR),
    ("Cluster/MarkNode", BACK),
    ("Cluster/Ready", ALL),
    ("Cluster/RegisterNode", Roles::of(&[Chunk])),
    ("Cluster/RemoveFormerGroups", BACK),
    ("Cluster/SetDiskIntent", OPERATOR),
    ("Cluster/SetNodeIntent", OPERATOR),
    ("Cluster/SetStorageClassCoding", OPERATOR),
    ("Garbage/FinishGarbage", BACK),
    ("Garbage/SetFrozen", OPERATOR),
    ("Garbage/TakeGarbage", BACK),
    ("Identities/ChangeIdentities", FRONT),
    ("Identities/CreateAccount", OPERATOR),
    ("Identities/DeriveSigningKey", FRONT),
    ("Identities/FindAccount", FRONT_OPERATOR),
    ("Identities/ListAccounts", FRONT_OPERATOR),
    ("Identities/ListRateLimits", FRONT_OPERATOR),
    ("Identities/MakeRootKey", OPERATOR),
    ("Identities/OpenSession", FRONT),
    ("Identities/ReadIdentities", FRONT),
    ("Identities/RemoveAccount", OPERATOR),
    ("Identities/RemoveRootKey", OPERATOR),
    ("Identities/SealSession", FRONT),
    ("Identities/SetAccountStatus", OPERATOR),
    ("Identities/SetRateLimit", OPERATOR),
    ("Jobs/AcquireJob", BACK),
    ("Jobs/ListJobs", DATA_OPERATOR),
    ("Jobs/ReleaseJob", BACK),
    ("Jobs/RenewJob", BACK),
    ("Leases/AcquireLease", DATA),
    ("Leases/AdoptLeases", BACK_OPERATOR),
    ("Leases/FinishLease", BACK),
    ("Leases/ListLeases", DATA_OPERATOR),
    ("Leases/ListNamedChunks", BACK_OPERATOR),
    ("Leases/ListUnnamedChunks", BACK_OPERATOR),
    ("Leases/ReleaseLease", DATA),
    ("Leases/RenewLease", DATA),
    ("Leases/RevokeLease", BACK),
    ("Listings/ListObjects", DATA),
    ("Listings/ListUploads", DATA),
    ("Listings/ListVersions", DATA),
    ("Moves/BeginMoves", BACK_OPERATOR),
    ("Moves/FinishEviction", BACK),
    ("Moves/FinishMove", BACK),
    ("Moves/ListEvictions", DATA_OPERATOR),
    ("Moves/RedirectMove", BACK),
    ("Moves/ReverseMove", BACK),
    ("Repair/FinishMissing", BACK),
    ("Repair/ListContents", BACK_OPERATOR),
    ("Repair/ListMissing", DATA_OPERATOR),
    ("Repair/ReplaceChunks", BACK),
    ("Repair/ReportMissing", ALL),
    ("Uploads/AbortUpload", DATA),
    ("Uploads/CommitPart", FRONT),
    ("Uploads/CompleteUpload", FRONT),
    ("Uploads/CreateUpload", FRONT),
    ("Uploads/GetUpload", FRONT),
    ("Uploads/ListParts", FRONT),
    ("Versions/CommitVersion", DATA),
    ("Versions/CopyVersion", FRONT),
    ("Versions/DeleteVersions", DATA),
    ("Versions/GetVersion", DATA),
    ("Versions/ListEncrypted", OPERATOR),
    ("Versions/RenameObject", FRONT),
    ("Versions/RenamePrefix", FRONT),
    ("Versions/Rewrap", FRONT_OPERATOR),
    ("Versions/SetAcl", FRONT),
    ("Versions/SetLock", FRONT),
    ("Versions/SetRestore", FRONT),
    ("Versions/SetTags", FRONT),
];

/// Why a call is refused, as an extension of its request.
#[derive(Debug, Clone)]
pub(super) struct Refusal(pub(super) String);

/// Why a caller may not make the call at this place among the methods; none when he may. A call that there is not is nobody's.
pub(super) fn refusal(caller: Roles, place: Option<usize>) -> Option<Refusal> {
    let (name, callers) = place.and_then(|place| CALLERS.get(place)).unwrap_or(&("", Roles::NONE));
    if caller.meet(*callers) {
        return None;
    }
    tracing::warn!(%caller, call = name, "a call was refused: that service may not make it");
    Some(Refusal(format!("the caller's certificate is that of {caller}, and the call is for {callers}")))
}

#[cfg(test)]
mod tests {
    use types::{Role, Roles};

    use super::{super::counts::METHODS, CALLERS, refusal};

    #[test]
    fn every_call_has_its_callers() {
        let table: Vec<&str> = CALLERS.iter().map(|(name, _)| *name).collect();
        let methods: Vec<&str> = METHODS.iter().map(|(_, name)| *name).collect();
        assert_eq!(table, methods);
        for (name, callers) in CALLERS {
            assert!(
                *callers != Roles::NONE && !callers.have(Role::Metadata) && !callers.have(Role::Monitor),
                "{name}"
            );
        }
    }

    #[test]
    fn callers_are_refused_what_is_not_theirs() {
        let place = |name: &str| METHODS.iter().position(|(_, method)| *method == name);
        let may = |role: Role, name: &str| refusal(Roles::of(&[role]), place(name)).is_none();
        assert!(may(Role::Gateway, "Versions/CommitVersion") && may(Role::Worker, "Garbage/TakeGarbage"));
        assert!(
            !may(Role::Gateway, "Garbage/TakeGarbage") && !may(Role::Worker, "Identities/ReadIdentities")
        );
        assert!(may(Role::Chunk, "Cluster/RegisterNode") && !may(Role::Gateway, "Cluster/RegisterNode"));
        assert!(!may(Role::Chunk, "Versions/GetVersion") && !may(Role::Chunk, "Listings/ListObjects"));
        assert!(!may(Role::Admin, "Identities/ReadIdentities") && may(Role::Admin, "Cluster/SetNodeIntent"));
        for name in ["CreateAccount", "SetAccountStatus", "RemoveAccount", "MakeRootKey", "RemoveRootKey"] {
            let name = format!("Identities/{name}");
            assert!(may(Role::Admin, &name) && !may(Role::Gateway, &name), "{name}");
        }
        assert!(refusal(Roles::of(&[Role::Gateway]), None).is_some(), "what there is not");
    }
}
