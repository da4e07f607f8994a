use std::collections::BTreeSet;

use serde_json::Value;

use crate::{CHANGES, Change, ChangeRoute, DOCUMENT_PATH, Intent, PREFIX, ROUTES, Resource, Route, document};

/// Every reference of a document.
fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_route_is_in_the_document_and_nothing_else() {
    let document = document();
    let paths = document["paths"].as_object().expect("paths");
    let described = paths.iter().flat_map(|(path, operations)| {
        let methods = operations.as_object().expect("operations").keys();
        methods.map(|method| (path.clone(), method.to_ascii_uppercase()))
    });
    let reads = ROUTES.iter().map(|route| (route.full_path(), "GET".to_owned()));
    let routes: BTreeSet<_> =
        reads.chain(CHANGES.iter().map(|route| (route.full_path(), route.method.to_owned()))).collect();
    assert_eq!(described.collect::<BTreeSet<_>>(), routes);
    assert_eq!(routes.len(), ROUTES.len() + CHANGES.len(), "each method of a path once");
    let actions = ROUTES.iter().map(|route| route.action).chain(CHANGES.iter().map(|route| route.action));
    assert_eq!(actions.collect::<BTreeSet<_>>().len(), routes.len(), "each has a right of its own");
    for route in ROUTES {
        let operation = &paths[&route.full_path()]["get"];
        assert!(operation["description"].as_str().expect("a text").contains(route.action));
        let named = operation["parameters"].as_array().expect("a list").iter();
        let named: Vec<_> = named.map(|parameter| parameter["name"].as_str().expect("a name")).collect();
        assert_eq!(named, route.parameters.iter().map(|it| it.name).collect::<Vec<_>>());
        assert!(Route::find(&route.full_path()).is_some_and(|found| found.resource == route.resource));
        assert_eq!(Route::of(route.resource).path, route.path, "one route of each");
    }
    assert!(
        Route::find(DOCUMENT_PATH).is_none()
            && Route::find("/status").is_none()
            && Route::find(PREFIX).is_none()
    );
}

#[test]
fn every_change_is_found_by_its_path_and_described() {
    let document = document();
    for route in CHANGES {
        let path = route.full_path_of("a%20b");
        let (found, name) = ChangeRoute::find(&path).expect("it is there");
        assert!(found.iter().any(|found| found.change == route.change) && name == "a%20b", "{path}");
        let methods: Vec<_> = found.iter().map(|found| found.method).collect();
        assert!(methods.iter().all(|method| route.allow.split(", ").any(|allowed| allowed == *method)));
        assert_eq!(methods.len(), route.allow.split(", ").count(), "{path}");
        assert!(Route::find(&path).is_none(), "{path} is no resource");
        let operation = &document["paths"][&route.full_path()][route.method.to_ascii_lowercase()];
        let description = operation["description"].as_str().expect("a text");
        assert!(
            description.contains(route.action) && description.contains("arn:aws:ashlar:::"),
            "{description}"
        );
        assert_eq!(operation["parameters"][0]["name"], route.named.name);
        assert_eq!(operation["requestBody"].is_object(), route.has_body());
        assert!(operation["responses"]["404"].is_object());
    }
    for path in
        ["/nodes/a/b/drain", "/nodes//drain", "/nodes/a/stop", "/buckets/b", "/limits/", "/classes/a/b"]
    {
        assert!(ChangeRoute::find(&format!("{PREFIX}{path}")).is_none(), "{path}");
    }
    let told = document["info"]["description"].as_str().expect("a text");
    assert!(told.contains("IAM") && told.contains("--operator-changes"), "{told}");
}

#[test]
fn every_change_has_a_route() {
    // Whoever adds a change adds it here.
    let next = |change| match change {
        Change::Node(Intent::Serve) => Some(Change::Node(Intent::Drain)),
        Change::Node(Intent::Drain) => Some(Change::Node(Intent::Remove)),
        Change::Node(Intent::Remove) => Some(Change::Disk(Intent::Serve)),
        Change::Disk(Intent::Serve) => Some(Change::Disk(Intent::Drain)),
        Change::Disk(Intent::Drain) => Some(Change::Disk(Intent::Remove)),
        Change::Disk(Intent::Remove) => Some(Change::PutQuota),
        Change::PutQuota => Some(Change::RemoveQuota),
        Change::RemoveQuota => Some(Change::PutLimit),
        Change::PutLimit => Some(Change::RemoveLimit),
        Change::RemoveLimit => Some(Change::DefineClass),
        Change::DefineClass => Some(Change::RecodeClass),
        Change::RecodeClass => Some(Change::SuspendAccount),
        Change::SuspendAccount => Some(Change::ResumeAccount),
        Change::ResumeAccount => None,
    };
    let all = std::iter::successors(Some(Change::Node(Intent::Serve)), |change| next(*change));
    for change in all.clone() {
        assert_eq!(ChangeRoute::of(change).change, change);
    }
    assert_eq!(all.count(), CHANGES.len());
}

#[test]
fn every_resource_has_a_route() {
    // Whoever adds a resource adds it here.
    let next = |resource| match resource {
        Resource::Status => Some(Resource::Nodes),
        Resource::Nodes => Some(Resource::Disks),
        Resource::Disks => Some(Resource::Classes),
        Resource::Classes => Some(Resource::Jobs),
        Resource::Jobs => Some(Resource::Repair),
        Resource::Repair => Some(Resource::Durability),
        Resource::Durability => Some(Resource::Accounts),
        Resource::Accounts => Some(Resource::Buckets),
        Resource::Buckets => Some(Resource::Limits),
        Resource::Limits => Some(Resource::Configuration),
        Resource::Configuration => Some(Resource::Explanations),
        Resource::Explanations => None,
    };
    let all = std::iter::successors(Some(Resource::Status), |resource| next(*resource));
    assert!(all.eq(ROUTES.iter().map(|route| route.resource)));
}

#[test]
fn references_lead_somewhere_and_everything_is_described() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.contains("#/components/schemas/Status"), "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("within the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        assert!(schema["description"].is_string(), "{name}");
        for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
            assert!(schema["description"].is_string(), "{name}.{field}");
        }
    }
}
