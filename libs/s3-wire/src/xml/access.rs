//! Bodies about who may do what: access control lists, ownership, the block of public access.

use bytes::Bytes;

use super::{
    Document, Owner,
    read::{XmlReader, set},
};
use crate::error::{ErrorCode, S3Error};

/// Largest body of an operation about access in bytes.
pub const ACCESS_BODY_MAX: usize = 64 << 10;

/// The body of GetBucketAcl and GetObjectAcl where the owner alone has every right.
pub fn owners_acl(owner: Owner<'_>) -> Bytes {
    let mut document = Document::new("AccessControlPolicy", 768);
    owner.write("Owner", &mut document);
    document.open("AccessControlList");
    document.open("Grant");
    document.open_with(
        "Grantee",
        "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\"",
    );
    document.element("ID", owner.id);
    document.optional("DisplayName", owner.display_name);
    document.close("Grantee");
    document.element("Permission", "FULL_CONTROL");
    document.close("Grant");
    document.close("AccessControlList");
    document.finish("AccessControlPolicy")
}

/// Whether a body of PutBucketAcl or PutObjectAcl says what [`owners_acl`] says of this owner: that the owner alone has
/// every right. `MalformedACLError` for what is no access control policy. Source: API Reference, "PutObjectAcl".
pub fn is_owners_acl(body: &[u8], owner: &str) -> Result<bool, S3Error> {
    read_is_owners(body, owner).map_err(|_| S3Error::new(ErrorCode::MalformedACLError))
}

fn read_is_owners(body: &[u8], owner: &str) -> Result<bool, S3Error> {
    let mut reader = XmlReader::open(body, ACCESS_BODY_MAX, "AccessControlPolicy")?;
    let (mut is_owners, mut grants, mut lists) = (true, 0, None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "Owner" => is_owners &= read_id(&mut reader)?.is_none_or(|id| id == owner),
            "AccessControlList" => {
                set(&mut lists, ())?;
                while let Some(name) = reader.next_child()? {
                    if name != "Grant" {
                        return Err(S3Error::malformed_xml());
                    }
                    grants += 1;
                    is_owners &= read_grant(&mut reader, owner)?;
                }
            }
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    reader.finish()?;
    lists.ok_or_else(S3Error::malformed_xml)?;
    Ok(is_owners && grants == 1)
}

/// Whether the grant that is open gives the owner every right.
fn read_grant(reader: &mut XmlReader<'_>, owner: &str) -> Result<bool, S3Error> {
    let (mut grantee, mut permission) = (None, None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "Grantee" => set(&mut grantee, read_id(reader)?)?,
            "Permission" => set(&mut permission, reader.word()?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    match (grantee, permission) {
        (Some(grantee), Some(permission)) => {
            Ok(grantee.as_deref() == Some(owner) && permission == "FULL_CONTROL")
        }
        _ => Err(S3Error::malformed_xml()),
    }
}

/// The canonical id in the element that is open, if it names one.
fn read_id(reader: &mut XmlReader<'_>) -> Result<Option<String>, S3Error> {
    let mut id = None;
    while let Some(name) = reader.next_child()? {
        let word = reader.word()?;
        match name.as_str() {
            "ID" => set(&mut id, word)?,
            "DisplayName" | "URI" | "EmailAddress" | "Type" => {}
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    Ok(id)
}

/// Reads a body of PutBucketOwnershipControls: the one rule's ownership. `MalformedXML` for anything else.
/// Source: API Reference, "PutBucketOwnershipControls".
pub fn parse_ownership(body: &[u8]) -> Result<String, S3Error> {
    let mut reader = XmlReader::open(body, ACCESS_BODY_MAX, "OwnershipControls")?;
    let mut ownership = None;
    while let Some(name) = reader.next_child()? {
        if name != "Rule" {
            return Err(S3Error::malformed_xml());
        }
        let mut of_rule = None;
        while let Some(name) = reader.next_child()? {
            if name != "ObjectOwnership" {
                return Err(S3Error::malformed_xml());
            }
            set(&mut of_rule, reader.word()?)?;
        }
        set(&mut ownership, of_rule.ok_or_else(S3Error::malformed_xml)?)?;
    }
    reader.finish()?;
    let known = ["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"];
    ownership.filter(|text| known.contains(&text.as_str())).ok_or_else(S3Error::malformed_xml)
}

/// The body of GetBucketOwnershipControls.
pub fn ownership(ownership: &str) -> Bytes {
    let mut document = Document::new("OwnershipControls", 256);
    document.open("Rule");
    document.element("ObjectOwnership", ownership);
    document.close("Rule");
    document.finish("OwnershipControls")
}

/// What a bucket shuts out of public access, each false where a body does not name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PublicAccessBlock {
    /// New public ACLs.
    pub block_public_acls: bool,
    /// What public ACLs grant.
    pub ignore_public_acls: bool,
    /// New public policies.
    pub block_public_policy: bool,
    /// What public policies grant to others.
    pub restrict_public_buckets: bool,
}

/// Reads a body of PutPublicAccessBlock. Source: API Reference, "PutPublicAccessBlock".
pub fn parse_public_access_block(body: &[u8]) -> Result<PublicAccessBlock, S3Error> {
    let mut reader = XmlReader::open(body, ACCESS_BODY_MAX, "PublicAccessBlockConfiguration")?;
    let (mut acls, mut ignore, mut policy, mut restrict) = (None, None, None, None);
    while let Some(name) = reader.next_child()? {
        let value = reader.boolean()?;
        match name.as_str() {
            "BlockPublicAcls" => set(&mut acls, value)?,
            "IgnorePublicAcls" => set(&mut ignore, value)?,
            "BlockPublicPolicy" => set(&mut policy, value)?,
            "RestrictPublicBuckets" => set(&mut restrict, value)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    reader.finish()?;
    Ok(PublicAccessBlock {
        block_public_acls: acls.unwrap_or(false),
        ignore_public_acls: ignore.unwrap_or(false),
        block_public_policy: policy.unwrap_or(false),
        restrict_public_buckets: restrict.unwrap_or(false),
    })
}

/// The body of GetPublicAccessBlock.
pub fn public_access_block(block: PublicAccessBlock) -> Bytes {
    let mut document = Document::new("PublicAccessBlockConfiguration", 512);
    document.boolean("BlockPublicAcls", block.block_public_acls);
    document.boolean("IgnorePublicAcls", block.ignore_public_acls);
    document.boolean("BlockPublicPolicy", block.block_public_policy);
    document.boolean("RestrictPublicBuckets", block.restrict_public_buckets);
    document.finish("PublicAccessBlockConfiguration")
}

/// The body of GetBucketPolicyStatus.
pub fn policy_status(is_public: bool) -> Bytes {
    let mut document = Document::new("PolicyStatus", 256);
    document.boolean("IsPublic", is_public);
    document.finish("PolicyStatus")
}

#[cfg(test)]
mod tests {
    use super::{
        PublicAccessBlock, is_owners_acl, owners_acl, ownership, parse_ownership, parse_public_access_block,
        public_access_block,
    };
    use crate::{error::ErrorCode, xml::Owner};

    #[test]
    fn the_owners_acl_names_the_owner_twice() {
        let body = owners_acl(Owner { id: "id&", display_name: Some("name") });
        let text = std::str::from_utf8(&body).unwrap();
        assert_eq!(text.matches("<ID>id&amp;</ID>").count(), 2, "{text}");
        assert!(text.contains("xsi:type=\"CanonicalUser\"><ID>"), "{text}");
        assert!(text.contains("<Permission>FULL_CONTROL</Permission>"), "{text}");
    }

    #[test]
    fn a_list_is_the_owners_when_it_gives_the_owner_alone_every_right() {
        let list = |grants: &str| {
            format!(
                "<AccessControlPolicy><Owner><ID>me</ID></Owner><AccessControlList>{grants}</AccessControlList></AccessControlPolicy>"
            )
        };
        let grant = |id: &str, permission: &str| {
            format!("<Grant><Grantee><ID>{id}</ID></Grantee><Permission>{permission}</Permission></Grant>")
        };
        let own = owners_acl(Owner { id: "me", display_name: Some("name") });
        assert_eq!(is_owners_acl(&own, "me"), Ok(true));
        assert_eq!(is_owners_acl(&own, "other"), Ok(false));
        assert_eq!(is_owners_acl(list(&grant("me", "FULL_CONTROL")).as_bytes(), "me"), Ok(true));
        for other in [
            String::new(),
            grant("me", "READ"),
            grant("other", "FULL_CONTROL"),
            grant("me", "FULL_CONTROL") + &grant("other", "READ"),
            "<Grant><Grantee><URI>all</URI></Grantee><Permission>FULL_CONTROL</Permission></Grant>"
                .to_owned(),
        ] {
            assert_eq!(is_owners_acl(list(&other).as_bytes(), "me"), Ok(false), "{other}");
        }
        for bad in [
            String::new(),
            "<AccessControlPolicy/>".to_owned(),
            list("<Grant/>"),
            list("<Other/>"),
            list("<Grant><Grantee><ID>me</ID></Grantee></Grant>"),
        ] {
            let refused = is_owners_acl(bad.as_bytes(), "me").map_err(|error| error.code);
            assert_eq!(refused, Err(ErrorCode::MalformedACLError), "{bad}");
        }
    }

    #[test]
    fn ownership_is_one_rule_of_a_known_kind() {
        for known in ["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"] {
            assert_eq!(parse_ownership(&ownership(known)), Ok(known.to_owned()));
        }
        let rule = "<Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>";
        for bad in [
            String::new(),
            "<OwnershipControls/>".to_owned(),
            "<OwnershipControls><Rule/></OwnershipControls>".to_owned(),
            "<OwnershipControls><Rule><ObjectOwnership>Mine</ObjectOwnership></Rule></OwnershipControls>"
                .to_owned(),
            format!("<OwnershipControls>{rule}{rule}</OwnershipControls>"),
        ] {
            assert!(parse_ownership(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_block_is_read_as_written_and_false_where_it_says_nothing() {
        let block = PublicAccessBlock {
            block_public_acls: true,
            restrict_public_buckets: true,
            ..PublicAccessBlock::default()
        };
        assert_eq!(parse_public_access_block(&public_access_block(block)), Ok(block));
        let wrap =
            |inner: &str| format!("<PublicAccessBlockConfiguration>{inner}</PublicAccessBlockConfiguration>");
        assert_eq!(parse_public_access_block(wrap("").as_bytes()), Ok(PublicAccessBlock::default()));
        let upper = parse_public_access_block(wrap("<BlockPublicAcls>TRUE</BlockPublicAcls>").as_bytes());
        assert_eq!(upper.map(|block| block.block_public_acls), Ok(true));
        for bad in ["<BlockPublicAcls>1</BlockPublicAcls>", "<Other>true</Other>", "<BlockPublicAcls/>"] {
            assert!(parse_public_access_block(wrap(bad).as_bytes()).is_err(), "{bad}");
        }
    }
}
