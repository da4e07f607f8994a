//! The document that describes the API, made from the table of routes and the types of the resources. OpenAPI Specification 3.1.

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{Problem, ROUTES, Route, route::Values};

/// What is answered to a request that is refused, and when.
const REFUSALS: &[(&str, &str)] = &[
    ("400", "Something in the query is not understood."),
    ("403", "Nobody signed the request, or not rightly, or whoever did may not ask for this."),
    ("405", "The resource can only be read."),
    ("500", "The store has a fault, which its logs tell of."),
    ("503", "It cannot be found out now; try again."),
];

/// The document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<Problem>();
    let paths: Map<String, Value> = ROUTES
        .iter()
        .map(|route| (route.full_path(), json!({ "get": operation(&mut generator, route) })))
        .collect();
    let refusals: Map<String, Value> = REFUSALS
        .iter()
        .map(|(status, when)| ((*status).to_owned(), answer(when, &json!(problem))))
        .map(|(status, answer)| (format!("Refused{status}"), answer))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ashlar",
            "summary": "What operators read of a cluster.",
            "description": "Served on the listener for S3, to the root user and to users whose policies allow the action that each \
                operation names, on the resource `*`. Fields are added from release to release; pass over those that are not known.",
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
    let parameters = route.parameters.iter().map(|parameter| {
        let schema = match parameter.values {
            Values::Text => json!({ "type": "string" }),
            Values::Number => json!({ "type": "number" }),
            Values::Count(first, last) => json!({ "type": "integer", "minimum": first, "maximum": last }),
        };
        json!({ "name": parameter.name, "in": "query", "description": parameter.description, "schema": schema })
    });
    let parameters: Vec<Value> = parameters.collect();
    let schema = (route.schema)(generator);
    let mut responses = Map::new();
    responses.insert("200".to_owned(), answer(route.summary, &json!(schema)));
    for (status, _) in REFUSALS {
        let refusal = json!({ "$ref": format!("#/components/responses/Refused{status}") });
        responses.insert((*status).to_owned(), refusal);
    }
    json!({
        "operationId": route.action.trim_start_matches("ashlar:"),
        "summary": route.summary,
        "description": format!("Takes the right `{}`.", route.action),
        "parameters": parameters,
        "responses": responses,
    })
}

fn answer(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}
