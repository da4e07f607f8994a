//! What can be read, where, and by whom.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::{
    Account, BucketUsage, Class, Configuration, Disk, Durability, Explanation, Job, Limits, Node, Repair,
    Status,
};

/// What the paths of the routes begin with. No bucket's name has an underscore.
pub const PREFIX: &str = "/_ashlar/v1";

/// Where the document that describes them is.
pub const DOCUMENT_PATH: &str = "/_ashlar/openapi.json";

/// What can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// [`Status`].
    Status,
    /// [`Node`]s.
    Nodes,
    /// [`Disk`]s.
    Disks,
    /// [`Class`]es.
    Classes,
    /// [`Job`]s.
    Jobs,
    /// [`Repair`].
    Repair,
    /// [`Durability`].
    Durability,
    /// [`Account`]s.
    Accounts,
    /// [`BucketUsage`] of each.
    Buckets,
    /// [`Limits`].
    Limits,
    /// [`Configuration`].
    Configuration,
    /// [`Explanation`]s.
    Explanations,
}

/// How a resource is read.
#[derive(Debug)]
pub struct Route {
    /// The resource.
    pub resource: Resource,
    /// The path after [`PREFIX`].
    pub path: &'static str,
    /// The action that policies allow or deny.
    pub action: &'static str,
    /// What it is.
    pub summary: &'static str,
    /// What may be in the query.
    pub parameters: &'static [Parameter],
    pub(crate) schema: fn(&mut SchemaGenerator) -> Schema,
}

/// Something that may be in a query.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub description: &'static str,
    pub(crate) values: Values,
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// Any text.
    Text,
    /// A number.
    Number,
    /// A whole number from the first to the second.
    Count(u64, u64),
}

const PAGE_MAX: u64 = metadata_api::PAGE_SIZE_MAX as u64;

/// Everything that can be read.
pub const ROUTES: &[Route] = &[
    Route {
        resource: Resource::Status,
        path: "/status",
        action: "ashlar:GetStatus",
        summary: "The cluster at a glance: members, classes, and the work under way.",
        parameters: &[],
        schema: of::<Status>,
    },
    Route {
        resource: Resource::Nodes,
        path: "/nodes",
        action: "ashlar:ListNodes",
        summary: "The machines that keep shards.",
        parameters: &[],
        schema: of::<Vec<Node>>,
    },
    Route {
        resource: Resource::Disks,
        path: "/disks",
        action: "ashlar:ListDisks",
        summary: "The disks, with what is free and what moves.",
        parameters: &[],
        schema: of::<Vec<Disk>>,
    },
    Route {
        resource: Resource::Classes,
        path: "/classes",
        action: "ashlar:ListClasses",
        summary: "The storage classes.",
        parameters: &[],
        schema: of::<Vec<Class>>,
    },
    Route {
        resource: Resource::Jobs,
        path: "/jobs",
        action: "ashlar:ListJobs",
        summary: "What workers do, and how far they are.",
        parameters: &[],
        schema: of::<Vec<Job>>,
    },
    Route {
        resource: Resource::Repair,
        path: "/repair",
        action: "ashlar:GetRepair",
        summary: "What waits to be rebuilt, moved or evicted, and what holds it up.",
        parameters: &[],
        schema: of::<Repair>,
    },
    Route {
        resource: Resource::Durability,
        path: "/durability",
        action: "ashlar:GetDurability",
        summary: "How likely data is lost, and how much of it, for each storage class.",
        parameters: &[
            Parameter {
                name: "annual_failure_rate",
                description: "The share of disks that fail in a year, in the place of what the cluster has seen.",
                values: Values::Number,
            },
            Parameter {
                name: "repair_hours",
                description: "Hours from a disk's failure until its shards are rebuilt, in the place of what the cluster has seen.",
                values: Values::Number,
            },
            Parameter {
                name: "repair_mib_per_second",
                description: "MiB a second that are rebuilt, as long as no rebuild was seen; 100 if nothing is said.",
                values: Values::Count(1, 1 << 20),
            },
        ],
        schema: of::<Durability>,
    },
    Route {
        resource: Resource::Accounts,
        path: "/accounts",
        action: "ashlar:ListAccounts",
        summary: "The accounts with what they hold, the first before the others, which come in the order of their names.",
        parameters: &[],
        schema: of::<Vec<Account>>,
    },
    Route {
        resource: Resource::Buckets,
        path: "/buckets",
        action: "ashlar:ListBucketUsage",
        summary: "What buckets hold, exactly as of each one's last commit, and their quotas; in the order of their names.",
        parameters: &[
            Parameter {
                name: "prefix",
                description: "Only buckets whose names begin with this.",
                values: Values::Text,
            },
            Parameter {
                name: "after",
                description: "Only buckets whose names come after this: the last one of the page before.",
                values: Values::Text,
            },
            Parameter {
                name: "limit",
                description: "Most buckets to answer, 1,000 if nothing is said; fewer are answered when there are no more.",
                values: Values::Count(1, PAGE_MAX),
            },
            Parameter {
                name: "account",
                description: "Whose: an account's id of 12 digits, its canonical id or its name; the first account's if nothing is said.",
                values: Values::Text,
            },
        ],
        schema: of::<Vec<BucketUsage>>,
    },
    Route {
        resource: Resource::Limits,
        path: "/limits",
        action: "ashlar:GetLimits",
        summary: "How much users, roles, access keys and addresses may ask of each gateway.",
        parameters: &[Parameter {
            name: "account",
            description: "Whose: an account's id of 12 digits, its canonical id or its name; the first account's if nothing is said.",
            values: Values::Text,
        }],
        schema: of::<Limits>,
    },
    Route {
        resource: Resource::Configuration,
        path: "/configuration",
        action: "ashlar:GetConfiguration",
        summary: "How the gateway is set up that answers, without secrets.",
        parameters: &[],
        schema: of::<Configuration>,
    },
    Route {
        resource: Resource::Explanations,
        path: "/explanations",
        // No right to get or list everything is meant to be one on what others were refused.
        action: "ashlar:ExplainDecisions",
        summary: "Why requests were refused that the gateway which answers has refused last, the newest first, or what it would decide on one that is described.",
        parameters: &[
            Parameter {
                name: "request_id",
                description: "Only this request's, which may have several, or none that is remembered.",
                values: Values::Text,
            },
            Parameter {
                name: "principal",
                description: "Who would ask: the ARN of a user, of a role, of a session of one or of the root user of an account, the name of a user of the first account, `root` or `anonymous`.",
                values: Values::Text,
            },
            Parameter {
                name: "action",
                description: "Then, what for: an action with its service.",
                values: Values::Text,
            },
            Parameter {
                name: "resource",
                description: "And what to, by its ARN; if nothing is said, what a call that names nothing is done to.",
                values: Values::Text,
            },
            Parameter {
                name: "conditions",
                description: "And values of condition keys in the place of what is known of them: a JSON object of lists of texts.",
                values: Values::Text,
            },
        ],
        schema: of::<Vec<Explanation>>,
    },
];

pub(crate) fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Route {
    /// That of a whole path.
    pub fn find(path: &str) -> Option<&'static Self> {
        let path = path.strip_prefix(PREFIX)?;
        ROUTES.iter().find(|route| route.path == path)
    }

    /// That of a resource.
    pub fn of(resource: Resource) -> &'static Self {
        ROUTES.iter().find(|route| route.resource == resource).expect("a test sees that each has one")
    }

    /// The path.
    pub fn full_path(&self) -> String {
        format!("{PREFIX}{}", self.path)
    }
}
