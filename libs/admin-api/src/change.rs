//! What operators change over HTTP, where, and by which right.

use metadata_api::{ClusterMap, DiskState, Intent};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use types::DiskId;

use crate::{
    Account, BucketUsage, Class, Limits, PREFIX, Parameter,
    route::{Values, of},
    short_of_disks,
};

/// What can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// What is to become of a node.
    Node(Intent),
    /// What is to become of a disk.
    Disk(Intent),
    /// Says what a bucket may hold.
    PutQuota,
    /// Takes a bucket's quota away.
    RemoveQuota,
    /// Says how much somebody may ask of each gateway.
    PutLimit,
    /// Takes back what was said of somebody.
    RemoveLimit,
    /// Defines a storage class.
    DefineClass,
    /// Changes the coding of a storage class.
    RecodeClass,
    /// Lets nobody of an account do anything.
    SuspendAccount,
    /// Takes that back.
    ResumeAccount,
}

/// How something is changed.
#[derive(Debug)]
pub struct ChangeRoute {
    /// What is changed.
    pub change: Change,
    /// `POST`, `PUT` or `DELETE`.
    pub method: &'static str,
    /// The methods of the changes at this path, as `Allow` has them.
    pub allow: &'static str,
    /// The path after [`PREFIX`]. What is in braces stands for a part of it that names what is changed.
    pub path: &'static str,
    /// The action that policies allow or deny.
    pub action: &'static str,
    /// What it is done to, before its name: `node`, `disk`, `bucket`, `limit`, `class` or `account`.
    pub kind: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// The part of the path that names what is changed.
    pub named: Parameter,
    pub(crate) body: Option<fn(&mut SchemaGenerator) -> Schema>,
    pub(crate) answer: fn(&mut SchemaGenerator) -> Schema,
}

/// What a node or disk is to do from now on. Workers carry it out, in the background.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Intended {
    /// The id of the node or disk.
    pub id: String,
    /// What the operator wants of it: `serve`, `drain` or `remove`.
    pub intent: String,
    /// Classes of which something stays on it until there are more disks, as too few others are left to them.
    pub short_of_disks: Vec<ShortOfDisks>,
}

/// A class that has too few disks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShortOfDisks {
    /// Its name.
    pub class: String,
    /// How many it needs.
    pub disks_needed: usize,
    /// How many are left to it.
    pub disks_left: usize,
}

impl Intended {
    /// What is said of the node or disk of this id, whose disks these are.
    pub fn new(id: String, intent: Intent, map: &ClusterMap, disks: &[DiskId]) -> Self {
        let short = if intent == Intent::Serve { Vec::new() } else { short_of_disks(map, disks) };
        let short = short.into_iter().map(|(class, disks_needed, disks_left)| ShortOfDisks {
            class: class.to_string(),
            disks_needed,
            disks_left,
        });
        let intent = crate::status::intent(intent).to_owned();
        Self { id, intent, short_of_disks: short.collect() }
    }

    /// Those of a node that are not gone.
    pub fn disks_of_node(map: &ClusterMap, node: types::NodeId) -> Vec<DiskId> {
        let its = map.disks.iter().filter(|disk| disk.node == node && disk.state != DiskState::Gone);
        its.map(|disk| disk.disk).collect()
    }
}

/// What a bucket may hold at most. At least one of the bounds is given; any amount of what is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewQuota {
    /// Most bytes of all versions.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// Most objects: keys that are listed.
    #[serde(default)]
    pub objects: Option<u64>,
}

/// How much somebody may ask of each gateway. At least one is given; what is not is as the settings of gateways say, or without a
/// bound of its own for an access key. 0 is any amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRates {
    /// Most requests a second.
    #[serde(default)]
    pub requests_per_second: Option<u64>,
    /// Most bytes of requests' bodies a second, at least 262,144.
    #[serde(default)]
    pub received_bytes_per_second: Option<u64>,
    /// Most bytes of answers' bodies a second, at least 262,144.
    #[serde(default)]
    pub sent_bytes_per_second: Option<u64>,
    /// For how many seconds of not using them they can be used at once, 1 to 3,600.
    #[serde(default)]
    pub burst_seconds: Option<u32>,
}

/// A storage class that is to be defined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClass {
    /// Data and parity shards, such as `4+2`; `1+2` is three copies.
    pub coding: String,
    /// The medium of its disks; any that has enough disks if nothing is said.
    #[serde(default)]
    pub medium: Option<String>,
    /// Number of placement groups, a power of two; the usual number if nothing is said.
    #[serde(default)]
    pub groups: Option<u32>,
    /// Objects up to this many bytes are kept in their metadata row; the usual number if nothing is said.
    #[serde(default)]
    pub inline_limit_bytes: Option<u64>,
    /// Objects up to this many bytes are kept as whole copies; the usual number if nothing is said.
    #[serde(default)]
    pub whole_limit_bytes: Option<u64>,
}

/// The coding that a storage class is to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCoding {
    /// Data and parity shards, such as `8+3`; `1+2` is three copies.
    pub coding: String,
}

const NODE: Parameter =
    Parameter { name: "node", description: "The node's id, in full.", values: Values::Text };
const DISK: Parameter =
    Parameter { name: "disk", description: "The disk's id, in full.", values: Values::Text };
const BUCKET: Parameter =
    Parameter { name: "bucket", description: "The bucket's name.", values: Values::Text };
const CLASS: Parameter =
    Parameter { name: "class", description: "The name of the storage class.", values: Values::Text };
const ACCOUNT: Parameter = Parameter {
    name: "account",
    description: "The account's id of 12 digits. The first account stays as it is.",
    values: Values::Text,
};
const HOLDER: Parameter = Parameter {
    name: "holder",
    description: "Whom it is about: `user:NAME`, `role:NAME`, `access_key:ID`, `root`, or `anonymous` for whoever shows no credentials.",
    values: Values::Text,
};

/// Everything that can be changed. Users, their keys and policies are changed by the API of IAM.
pub const CHANGES: &[ChangeRoute] = &[
    member(
        Change::Node(Intent::Serve),
        "/nodes/{node}/serve",
        "ashlar:ServeNode",
        "Has a node serve: takes its drain or removal back.",
    ),
    member(
        Change::Node(Intent::Drain),
        "/nodes/{node}/drain",
        "ashlar:DrainNode",
        "Has all shards of a node moved elsewhere; they are read from it meanwhile.",
    ),
    member(
        Change::Node(Intent::Remove),
        "/nodes/{node}/remove",
        "ashlar:RemoveNode",
        "Has all shards of a node moved elsewhere, those rebuilt that it does not answer for, and then its disks forgotten for good.",
    ),
    member(
        Change::Disk(Intent::Serve),
        "/disks/{disk}/serve",
        "ashlar:ServeDisk",
        "Has a disk serve: takes its drain or removal back.",
    ),
    member(
        Change::Disk(Intent::Drain),
        "/disks/{disk}/drain",
        "ashlar:DrainDisk",
        "Has all shards of a disk moved elsewhere; they are read from it meanwhile.",
    ),
    member(
        Change::Disk(Intent::Remove),
        "/disks/{disk}/remove",
        "ashlar:RemoveDisk",
        "Has all shards of a disk moved elsewhere, or rebuilt if it does not answer, and then the disk forgotten for good.",
    ),
    ChangeRoute {
        change: Change::PutQuota,
        method: "PUT",
        allow: QUOTA_METHODS,
        path: QUOTA_PATH,
        action: "ashlar:PutBucketQuota",
        kind: "bucket",
        summary: "Says what a bucket may hold at most, in place of what was said.",
        named: BUCKET,
        body: Some(of::<NewQuota>),
        answer: of::<BucketUsage>,
    },
    ChangeRoute {
        change: Change::RemoveQuota,
        method: "DELETE",
        allow: QUOTA_METHODS,
        path: QUOTA_PATH,
        action: "ashlar:RemoveBucketQuota",
        kind: "bucket",
        summary: "Takes the quota of a bucket away.",
        named: BUCKET,
        body: None,
        answer: of::<BucketUsage>,
    },
    ChangeRoute {
        change: Change::PutLimit,
        method: "PUT",
        allow: LIMIT_METHODS,
        path: LIMIT_PATH,
        action: "ashlar:PutLimit",
        kind: "limit",
        summary: "Says how much somebody may ask of each gateway, in place of what was said; gateways know of it within seconds.",
        named: HOLDER,
        body: Some(of::<NewRates>),
        answer: of::<Limits>,
    },
    ChangeRoute {
        change: Change::RemoveLimit,
        method: "DELETE",
        allow: LIMIT_METHODS,
        path: LIMIT_PATH,
        action: "ashlar:RemoveLimit",
        kind: "limit",
        summary: "Takes back what was said of somebody: the settings of gateways hold.",
        named: HOLDER,
        body: None,
        answer: of::<Limits>,
    },
    ChangeRoute {
        change: Change::DefineClass,
        method: "PUT",
        allow: "PUT",
        path: "/classes/{class}",
        action: "ashlar:DefineClass",
        kind: "class",
        summary: "Defines a storage class, if it is not there with this coding. It takes objects as soon as enough disks are registered.",
        named: CLASS,
        body: Some(of::<NewClass>),
        answer: of::<Vec<Class>>,
    },
    ChangeRoute {
        change: Change::RecodeClass,
        method: "PUT",
        allow: "PUT",
        path: "/classes/{class}/coding",
        action: "ashlar:RecodeClass",
        kind: "class",
        summary: "Changes the coding of a storage class: new objects have it at once, and workers re-encode the others.",
        named: CLASS,
        body: Some(of::<NewCoding>),
        answer: of::<Vec<Class>>,
    },
    account(
        Change::SuspendAccount,
        "/accounts/{account}/suspend",
        "ashlar:SuspendAccount",
        "Lets nobody of an account do anything, from the next request on. What it has stays, and what it grants others too.",
    ),
    account(
        Change::ResumeAccount,
        "/accounts/{account}/resume",
        "ashlar:ResumeAccount",
        "Lets those of a suspended account go on.",
    ),
];

const QUOTA_PATH: &str = "/buckets/{bucket}/quota";
const QUOTA_METHODS: &str = "DELETE, PUT";
const LIMIT_PATH: &str = "/limits/{holder}";
const LIMIT_METHODS: &str = "DELETE, PUT";

/// A change of whether those of an account may do anything.
const fn account(
    change: Change,
    path: &'static str,
    action: &'static str,
    summary: &'static str,
) -> ChangeRoute {
    ChangeRoute {
        change,
        method: "POST",
        allow: "POST",
        path,
        action,
        kind: "account",
        summary,
        named: ACCOUNT,
        body: None,
        answer: of::<Account>,
    }
}

/// A change of what is to become of a node or a disk.
const fn member(
    change: Change,
    path: &'static str,
    action: &'static str,
    summary: &'static str,
) -> ChangeRoute {
    let (kind, named) = match change {
        Change::Node(_) => ("node", NODE),
        _ => ("disk", DISK),
    };
    ChangeRoute {
        change,
        method: "POST",
        allow: "POST",
        path,
        action,
        kind,
        summary,
        named,
        body: None,
        answer: of::<Intended>,
    }
}

impl ChangeRoute {
    /// That of a change.
    pub fn of(change: Change) -> &'static Self {
        CHANGES.iter().find(|route| route.change == change).expect("a test sees that each has one")
    }

    /// Those of a whole path, and the part of it that names what is to be changed, as it stands there. None for a path of none.
    pub fn find(path: &str) -> Option<(Vec<&'static Self>, &str)> {
        let path = path.strip_prefix(PREFIX)?;
        let found: Vec<(&Self, &str)> =
            CHANGES.iter().filter_map(|route| Some((route, route.name_in(path)?))).collect();
        let (_, name) = *found.first()?;
        Some((found.into_iter().map(|(route, _)| route).collect(), name))
    }

    /// What stands in the place of the braces, if the rest is the same.
    fn name_in<'a>(&self, path: &'a str) -> Option<&'a str> {
        let (before, rest) = self.path.split_once('{')?;
        let (_, after) = rest.split_once('}')?;
        let name = path.strip_prefix(before)?.strip_suffix(after)?;
        (!name.is_empty() && !name.contains('/')).then_some(name)
    }

    /// The path, with the braces.
    pub fn full_path(&self) -> String {
        format!("{PREFIX}{}", self.path)
    }

    /// The path of what has this name, which is as it is written in paths.
    pub fn full_path_of(&self, name: &str) -> String {
        self.full_path().replace(&format!("{{{}}}", self.named.name), name)
    }

    /// What it is done to, as policies name it.
    pub fn arn(&self, name: &str) -> String {
        format!("arn:aws:ashlar:::{}/{name}", self.kind)
    }

    /// Whether it has a body.
    pub fn has_body(&self) -> bool {
        self.body.is_some()
    }
}
