//! The document that describes the API, made from the table of routes and the types of the resources. OpenAPI Specification 3.1.

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{CHANGES, ChangeRoute, Parameter, Problem, ROUTES, Route, route::Values};

/// What is answered to a request that is refused, and when.
const REFUSALS: &[(&str, &str)] = &[
    (
        "400",
        "Something in the query or the body is not understood, or cannot be as things are; nothing was changed.",
    ),
    (
        "403",
        "Nobody signed the request, or not rightly, or whoever did may not ask for this; or the gateway makes no changes.",
    ),
    ("405", "The resource does not take this method; `Allow` says which it takes."),
    ("500", "The store has a fault, which its logs tell of."),
    ("503", "It cannot be found out now; try again."),
];

/// The same of changes alone.
const REFUSALS_OF_CHANGES: &[(&str, &str)] = &[
    ("404", "There is nothing of this name; nothing was changed."),
    ("411", "The length of the body was not announced."),
];

const DESCRIPTION: &str = "Served on the listener for S3, to the root user and to users whose policies allow the action that each \
    operation names, on the resource `*` where something is read, and on the ARN that the operation names where something is changed. \
    A gateway makes changes only with the setting `--operator-changes`; every call that is decided on leaves a line in the audit log. Users, groups, roles, \
    their policies and access keys are no part of this: they are read and changed by the APIs of AWS IAM and STS, which answer at the \
    path `/` of the same listener. Fields are added from release to release; pass over those that are not known.";

/// The document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<Problem>();
    let mut paths = Map::new();
    for route in ROUTES {
        add(&mut paths, route.full_path(), "get", operation(&mut generator, route));
    }
    for route in CHANGES {
        let method = route.method.to_ascii_lowercase();
        add(&mut paths, route.full_path(), &method, changing_operation(&mut generator, route));
    }
    let refusals: Map<String, Value> = REFUSALS
        .iter()
        .chain(REFUSALS_OF_CHANGES)
        .map(|(status, when)| ((*status).to_owned(), answer(when, &json!(problem))))
        .map(|(status, answer)| (format!("Refused{status}"), answer))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ashlar",
            "summary": "What operators read and change of a cluster.",
            "description": DESCRIPTION,
            "version": "1",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "Any gateway" }],
        "security": [{ "signature": [] }],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "responses": refusals,
            "securitySchemes": { "signature": {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "AWS Signature Version 4 for the service `s3` and the region of the store, in the header; with the \
                    token of temporary credentials in `x-amz-security-token`.",
            } },
        },
    })
}

fn operation(generator: &mut SchemaGenerator, route: &Route) -> Value {
    let parameters: Vec<Value> = route.parameters.iter().map(|it| parameter(it, "query")).collect();
    let schema = (route.schema)(generator);
    let responses = responses(answer(route.summary, &json!(schema)), REFUSALS.iter());
    json!({
        "operationId": route.action.trim_start_matches("ashlar:"),
        "summary": route.summary,
        "description": format!("Takes the right `{}`.", route.action),
        "parameters": parameters,
        "responses": responses,
    })
}

/// The operation that changes something.
fn changing_operation(generator: &mut SchemaGenerator, route: &ChangeRoute) -> Value {
    let mut named = parameter(&route.named, "path");
    named["required"] = true.into();
    let schema = (route.answer)(generator);
    let refusals = REFUSALS.iter().chain(REFUSALS_OF_CHANGES);
    let arn = route.arn(&format!("{{{}}}", route.named.name));
    let mut operation = json!({
        "operationId": route.action.trim_start_matches("ashlar:"),
        "summary": route.summary,
        "description": format!("Takes the right `{}` on `{arn}`.", route.action),
        "parameters": [named],
        "responses": responses(answer("It is changed; as it is now.", &json!(schema)), refusals),
    });
    if let Some(body) = route.body {
        let schema = body(generator);
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    operation
}

fn add(paths: &mut Map<String, Value>, path: String, method: &str, operation: Value) {
    let operations = paths.entry(path).or_insert_with(|| json!({}));
    operations[method] = operation;
}

fn parameter(parameter: &Parameter, place: &str) -> Value {
    let schema = match parameter.values {
        Values::Text => json!({ "type": "string" }),
        Values::Number => json!({ "type": "number" }),
        Values::Count(first, last) => json!({ "type": "integer", "minimum": first, "maximum": last }),
    };
    json!({ "name": parameter.name, "in": place, "description": parameter.description, "schema": schema })
}

fn responses<'a>(
    answer: Value,
    refusals: impl Iterator<Item = &'a (&'a str, &'a str)>,
) -> Map<String, Value> {
    let refusals = refusals.map(|(status, _)| {
        ((*status).to_owned(), json!({ "$ref": format!("#/components/responses/Refused{status}") }))
    });
    [("200".to_owned(), answer)].into_iter().chain(refusals).collect()
}

fn answer(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}
