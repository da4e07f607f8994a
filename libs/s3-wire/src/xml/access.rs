//! Bodies about who may do what: access control lists, ownership, the block of public access.

use bytes::Bytes;
use types::{Acl, Permission};

use super::{
    Document, Owner,
    read::{XmlReader, set},
};
use crate::{
    acl::{AskedAcl, NamedGrantee, NamedIn, ObjectOwnership, ParseOwnershipError},
    error::{ErrorCode, S3Error},
};

/// Largest body of an operation about access in bytes.
pub const ACCESS_BODY_MAX: usize = 64 << 10;

/// The body of GetBucketAcl and GetObjectAcl.
pub fn acl(owner: Owner<'_>, acl: &Acl) -> Bytes {
    named_acl(owner, acl, &|_| None)
}

/// The same with what other accounts than the owner are called, as `name` tells it.
pub fn named_acl(owner: Owner<'_>, acl: &Acl, name: &dyn Fn(&str) -> Option<String>) -> Bytes {
    let mut document = Document::new("AccessControlPolicy", 512 + 256 * acl.grants.len());
    owner.write("Owner", &mut document);
    document.open("AccessControlList");
    for grant in &acl.grants {
        let name = |id: &str| match owner.display_name.filter(|_| id == owner.id) {
            Some(own) => Some(own.to_owned()),
            None if id == owner.id => None,
            None => name(id),
        };
        write_grant(&(&grant.grantee).into(), grant.permission, &name, &mut document);
    }
    document.close("AccessControlList");
    document.finish("AccessControlPolicy")
}

/// A grant, with what `name` tells that an account is called.
pub(super) fn write_grant(
    grantee: &NamedGrantee,
    permission: Permission,
    name: &dyn Fn(&str) -> Option<String>,
    document: &mut Document,
) {
    let (kind, element, text) = match grantee {
        NamedGrantee::Id(id) => ("CanonicalUser", "ID", id),
        NamedGrantee::Uri(uri) => ("Group", "URI", uri),
        NamedGrantee::Email(email) => ("AmazonCustomerByEmail", "EmailAddress", email),
    };
    document.open("Grant");
    let of_kind = format!("xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"{kind}\"");
    document.open_with("Grantee", &of_kind);
    document.element(element, text);
    if let NamedGrantee::Id(id) = grantee {
        document.optional("DisplayName", name(id).as_deref());
    }
    document.close("Grantee");
    document.element("Permission", permission.name());
    document.close("Grant");
}

/// A body of PutBucketAcl or PutObjectAcl.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclDocument {
    /// The canonical user id of whoever owns what the list is of.
    pub owner: String,
    /// The list.
    pub asked: AskedAcl,
}

/// Reads a body of PutBucketAcl or PutObjectAcl. `MalformedACLError` for what is no access control policy, and for more
/// grants than a list may have. Source: API Reference, "PutObjectAcl".
pub fn parse_acl(body: &[u8]) -> Result<AclDocument, S3Error> {
    read_acl(body).map_err(|_| S3Error::new(ErrorCode::MalformedACLError))
}

fn read_acl(body: &[u8]) -> Result<AclDocument, S3Error> {
    let mut reader = XmlReader::open(body, ACCESS_BODY_MAX, "AccessControlPolicy")?;
    let (mut owner, mut list) = (None, None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "Owner" => match read_named(&mut reader)? {
                NamedGrantee::Id(id) => set(&mut owner, id)?,
                NamedGrantee::Uri(_) | NamedGrantee::Email(_) => return Err(S3Error::malformed_xml()),
            },
            "AccessControlList" => {
                let mut grants = Vec::new();
                while let Some(name) = reader.next_child()? {
                    if name != "Grant" || grants.len() == Acl::GRANTS_MAX {
                        return Err(S3Error::malformed_xml());
                    }
                    grants.push(read_grant(&mut reader)?);
                }
                set(&mut list, grants)?;
            }
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    reader.finish()?;
    let owner = owner.ok_or_else(S3Error::malformed_xml)?;
    let grants = list.ok_or_else(S3Error::malformed_xml)?;
    Ok(AclDocument { owner, asked: AskedAcl::Grants(grants, NamedIn::Document) })
}

/// The grant that is open.
pub(super) fn read_grant(reader: &mut XmlReader<'_>) -> Result<(NamedGrantee, Permission), S3Error> {
    let (mut grantee, mut permission) = (None, None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "Grantee" => set(&mut grantee, read_grantee(reader)?)?,
            "Permission" => set(&mut permission, reader.word()?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    let permission = permission.as_deref().and_then(Permission::from_name);
    grantee.zip(permission).ok_or_else(S3Error::malformed_xml)
}

/// The grantee that is open, who is named as the attribute `xsi:type` says.
fn read_grantee(reader: &mut XmlReader<'_>) -> Result<NamedGrantee, S3Error> {
    let kind = reader.attribute("type")?;
    let named = read_named(reader)?;
    let expected = match named {
        NamedGrantee::Id(_) => "CanonicalUser",
        NamedGrantee::Uri(_) => "Group",
        NamedGrantee::Email(_) => "AmazonCustomerByEmail",
    };
    if kind.as_deref() == Some(expected) { Ok(named) } else { Err(S3Error::malformed_xml()) }
}

/// Who is named in the element that is open, in one way.
fn read_named(reader: &mut XmlReader<'_>) -> Result<NamedGrantee, S3Error> {
    let mut named = None;
    while let Some(name) = reader.next_child()? {
        let word = reader.word()?;
        match name.as_str() {
            "ID" => set(&mut named, NamedGrantee::Id(word))?,
            "URI" => set(&mut named, NamedGrantee::Uri(word))?,
            "EmailAddress" => set(&mut named, NamedGrantee::Email(word))?,
            "DisplayName" => {}
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    named.ok_or_else(S3Error::malformed_xml)
}

/// Reads a body of PutBucketOwnershipControls: the one rule's ownership. `MalformedXML` for anything else.
/// Source: API Reference, "PutBucketOwnershipControls".
pub fn parse_ownership(body: &[u8]) -> Result<ObjectOwnership, S3Error> {
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
            let parsed = reader.word()?.parse().map_err(|ParseOwnershipError| S3Error::malformed_xml())?;
            set(&mut of_rule, parsed)?;
        }
        set(&mut ownership, of_rule.ok_or_else(S3Error::malformed_xml)?)?;
    }
    reader.finish()?;
    ownership.ok_or_else(S3Error::malformed_xml)
}

/// The body of GetBucketOwnershipControls.
pub fn ownership(ownership: ObjectOwnership) -> Bytes {
    let mut document = Document::new("OwnershipControls", 256);
    document.open("Rule");
    document.element("ObjectOwnership", ownership.name());
    document.close("Rule");
    document.finish("OwnershipControls")
}

/// What a bucket or an account shuts out of public access, each false where a body does not name it.
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

impl PublicAccessBlock {
    /// What either shuts out, of a bucket's and its account's. Source: Amazon S3 User Guide, "Blocking public access to your Amazon
    /// S3 storage", the section "Block public access settings".
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            block_public_acls: self.block_public_acls || other.block_public_acls,
            ignore_public_acls: self.ignore_public_acls || other.ignore_public_acls,
            block_public_policy: self.block_public_policy || other.block_public_policy,
            restrict_public_buckets: self.restrict_public_buckets || other.restrict_public_buckets,
        }
    }
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
    if [acls, ignore, policy, restrict].iter().all(Option::is_none) {
        // Who forgets the fields does not mean to open what was shut.
        return Err(S3Error::invalid_request("Must specify at least one configuration."));
    }
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
    use types::{Acl, Grant, Grantee, Group, Permission};

    use super::{
        PublicAccessBlock, acl, ownership, parse_acl, parse_ownership, parse_public_access_block,
        public_access_block,
    };
    use crate::{
        acl::{AclOf, AskedAcl, NamedGrantee, NamedIn, ObjectOwnership},
        error::ErrorCode,
        xml::Owner,
    };

    #[test]
    fn a_list_is_read_back_as_it_was_written() {
        let owner = Owner { id: "id&", display_name: Some("name") };
        let mut list = Acl::of_owner("id&");
        for (group, permission) in Group::ALL.into_iter().zip(Permission::ALL) {
            list.grants.push(Grant { grantee: Grantee::Group(group), permission });
        }
        for list in [Acl::default(), Acl::of_owner("id&"), list] {
            let document = parse_acl(&acl(owner, &list)).expect("a list");
            assert_eq!(document.owner, "id&");
            assert_eq!(document.asked.resolve("id&", AclOf::Object), Ok(list));
        }
        let body = acl(owner, &Acl::of_owner("id&"));
        let text = std::str::from_utf8(&body).unwrap();
        assert_eq!(text.matches("<ID>id&amp;</ID><DisplayName>name</DisplayName>").count(), 2, "{text}");
        assert!(text.contains("xsi:type=\"CanonicalUser\"><ID>"), "{text}");
        assert!(text.contains("<Permission>FULL_CONTROL</Permission>"), "{text}");
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let list = |grants: &str| {
            format!(
                "<AccessControlPolicy><Owner><ID>me</ID></Owner><AccessControlList>{grants}</AccessControlList></AccessControlPolicy>"
            )
        };
        let typed = |kind: &str, grantee: &str, permission: &str| {
            format!(
                "<Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"{kind}\">{grantee}</Grantee><Permission>{permission}</Permission></Grant>"
            )
        };
        let grant = |grantee: &str, permission: &str| typed("CanonicalUser", grantee, permission);
        let me = grant("<ID>me</ID>", "READ");
        let document =
            parse_acl(list(&me.repeat(Acl::GRANTS_MAX)).as_bytes()).expect("as many as there may be");
        let grants = vec![(NamedGrantee::Id("me".to_owned()), Permission::Read); Acl::GRANTS_MAX];
        assert_eq!(document.asked, AskedAcl::Grants(grants, NamedIn::Document));
        for bad in [
            String::new(),
            "<AccessControlPolicy/>".to_owned(),
            "<AccessControlPolicy><Owner><ID>me</ID></Owner></AccessControlPolicy>".to_owned(),
            "<AccessControlPolicy><AccessControlList/></AccessControlPolicy>".to_owned(),
            list("").replace("ID>", "EmailAddress>"),
            list("<Grant/>"),
            list("<Other/>"),
            list("<Grant><Grantee xsi:type=\"CanonicalUser\"><ID>me</ID></Grantee></Grant>"),
            list("<Grant><Grantee><ID>me</ID></Grantee><Permission>READ</Permission></Grant>"),
            list(&typed("Group", "<ID>me</ID>", "READ")),
            list(&typed(
                "CanonicalUser",
                "<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>",
                "READ",
            )),
            list(&grant("", "READ")),
            list(&grant("<DisplayName>me</DisplayName>", "READ")),
            list(&grant("<ID>me</ID><URI>all</URI>", "READ")),
            list(&grant("<ID>me</ID>", "read")),
            list(&grant("<ID>me</ID>", "READ").replace("</Grant>", "<Permission>READ</Permission></Grant>")),
            list(&me.repeat(Acl::GRANTS_MAX + 1)),
        ] {
            let refused = parse_acl(bad.as_bytes()).map_err(|error| error.code);
            assert_eq!(refused, Err(ErrorCode::MalformedACLError), "{bad}");
        }
    }

    #[test]
    fn ownership_is_one_rule_of_a_known_kind() {
        for known in ObjectOwnership::ALL {
            assert_eq!(parse_ownership(&ownership(known)), Ok(known));
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
        let none = parse_public_access_block(wrap("").as_bytes()).expect_err("no field");
        assert_eq!(none.code, ErrorCode::InvalidRequest);
        let upper = parse_public_access_block(wrap("<BlockPublicAcls>TRUE</BlockPublicAcls>").as_bytes());
        assert_eq!(upper.map(|block| block.block_public_acls), Ok(true));
        for bad in ["<BlockPublicAcls>1</BlockPublicAcls>", "<Other>true</Other>", "<BlockPublicAcls/>"] {
            assert!(parse_public_access_block(wrap(bad).as_bytes()).is_err(), "{bad}");
        }
    }
}
