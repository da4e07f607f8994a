use std::collections::BTreeSet;

use serde_json::Value;

use crate::{DOCUMENT_PATH, PREFIX, ROUTES, Resource, Route, document};

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
    let routes: BTreeSet<String> = ROUTES.iter().map(Route::full_path).collect();
    assert_eq!(paths.keys().cloned().collect::<BTreeSet<_>>(), routes);
    assert_eq!(routes.len(), ROUTES.len(), "each path once");
    assert_eq!(ROUTES.iter().map(|route| route.action).collect::<BTreeSet<_>>().len(), ROUTES.len());
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
fn every_resource_has_a_route() {
    // Whoever adds a resource adds it here.
    let next = |resource| match resource {
        Resource::Status => Some(Resource::Nodes),
        Resource::Nodes => Some(Resource::Disks),
        Resource::Disks => Some(Resource::Classes),
        Resource::Classes => Some(Resource::Jobs),
        Resource::Jobs => Some(Resource::Repair),
        Resource::Repair => Some(Resource::Durability),
        Resource::Durability => Some(Resource::Buckets),
        Resource::Buckets => Some(Resource::Limits),
        Resource::Limits => Some(Resource::Configuration),
        Resource::Configuration => None,
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
