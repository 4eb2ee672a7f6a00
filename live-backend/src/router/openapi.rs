//! `GET /openapi.json`: the table of routes as OpenAPI 3.1.
//!
//! Belongs here: the document. Does not belong here: what stands in it (table).

use super::route::{Content, Route};
use super::schema::{Field, body_schema};
use super::{access::Access, table};
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// The table does not change while the program runs.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| document(&table::all()).to_string());

pub(crate) async fn show() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/json")],
        DOCUMENT.as_str(),
    )
}

pub(super) fn document(routes: &[Route]) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let of_path = paths
            .entry(route.path)
            .or_insert_with(|| Value::Object(Map::new()));
        if let Some(of_path) = of_path.as_object_mut() {
            let method = route.method.as_str().to_ascii_lowercase();
            of_path.insert(method, operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Flowreel live backend",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The notification backend. Errors are {\"error\": {code, message, field?}}.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
            "schemas": {"Error": error_schema()},
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut responses: Map<String, Value> = Map::new();
    for status in route.refusal_statuses() {
        let content = json!({
            "application/json": {"schema": {"$ref": "#/components/schemas/Error"}},
        });
        let text = refusal_text(status);
        responses.insert(
            status.to_string(),
            json!({"description": text, "content": content}),
        );
    }
    for answer in &route.answers {
        let content = match answer.content {
            Content::Json(schema) => json!({"application/json": {"schema": schema.to_json()}}),
            Content::Media(media) => json!({media: {"schema": {"type": "string"}}}),
        };
        let description = if answer.status < 400 {
            "Done."
        } else {
            "Not able to now."
        };
        responses.insert(
            answer.status.to_string(),
            json!({"description": description, "content": content}),
        );
    }
    let mut parameters: Vec<Value> = path_parameters(route.path);
    parameters.extend(route.query.iter().map(query_parameter));
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses,
        "security": security(route.access),
    });
    if let (Some(fields), Some(operation)) = (route.body, operation.as_object_mut()) {
        let body = json!({
            "required": true,
            "content": {"application/json": {"schema": body_schema(fields)}},
        });
        operation.insert("requestBody".to_owned(), body);
    }
    operation
}

fn operation_id(route: &Route) -> String {
    let words = route.path.replace(['/', '{', '}', '-', '.'], "_");
    format!("{}{words}", route.method.as_str().to_ascii_lowercase())
}

fn security(access: Access) -> Value {
    match access {
        Access::Anyone => json!([]),
        // An empty requirement: without a token it works too, for some.
        Access::MonitorOrLocal => json!([{"token": []}, {}]),
        Access::Caller | Access::User | Access::Owner | Access::Monitor | Access::Admin => {
            json!([{"token": []}])
        }
    }
}

fn path_parameters(path: &str) -> Vec<Value> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}})
        })
        .collect()
}

fn query_parameter(field: &Field) -> Value {
    json!({
        "name": field.name,
        "in": "query",
        "required": field.is_required,
        "schema": field.schema.to_json(),
    })
}

fn error_schema() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "additionalProperties": false,
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "additionalProperties": false,
                "properties": {
                    "code": {"type": "string"},
                    "message": {"type": "string", "minLength": 1},
                    "field": {"type": "string"},
                },
            },
        },
    })
}

const fn refusal_text(status: u16) -> &'static str {
    match status {
        400 => "The body, the query or the address cannot be used; the field is named.",
        401 => "No token, or one that is wrong, expired or ended.",
        403 => "The token's owner may not do this.",
        404 => "There is no such thing.",
        408 => "The body took too long.",
        409 => "The value of the named field is taken.",
        413 => "The body is too long.",
        415 => "The body is not application/json.",
        429 => "Too many tries; Retry-After says when to come again.",
        502 => "The server broke off.",
        503 => "Not now; Retry-After says when to come again.",
        504 => "The server took too long.",
        _ => "The server failed; it is logged under the X-Request-Id of the answer.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_route_is_described_and_everything_described_is_a_route() {
        let routes = table::all();
        let document = document(&routes);
        let mut described = BTreeSet::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                assert!(
                    operation["summary"]
                        .as_str()
                        .is_some_and(|text| !text.is_empty()),
                    "{path}"
                );
                described.insert((method.to_ascii_uppercase(), path.clone()));
            }
        }
        let routed: BTreeSet<_> = routes
            .iter()
            .map(|route| (route.method.to_string(), route.path.to_owned()))
            .collect();
        assert_eq!(
            routed.len(),
            routes.len(),
            "an address and method stand there twice"
        );
        assert_eq!(described, routed);
        for route in &routes {
            assert!(!route.answers.is_empty(), "{} answers nothing", route.path);
        }
    }

    #[test]
    fn names_of_operations_differ() {
        let routes = table::all();
        let names: BTreeSet<_> = routes.iter().map(operation_id).collect();
        assert_eq!(names.len(), routes.len());
    }
}
