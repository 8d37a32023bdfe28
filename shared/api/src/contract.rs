//! The OpenAPI document, generated from the annotations of the calls and the parts common to all
//! calls.

use utoipa::{
    Modify, OpenApi,
    openapi::{
        self, Content, RefOr, Response, ResponseBuilder, Schema, SecurityRequirement,
        path::Operation,
        schema::{OneOfBuilder, Ref},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use crate::{calls, schema};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Holdfast",
        description = "Backups of a content platform. Each call needs a JWT that API Gateway verifies. The role claim \
                       of the JWT must be `admin` or `creator`."
    ),
    paths(
        calls::status::status,
        calls::triggers::database,
        calls::triggers::content,
        calls::triggers::full,
        calls::cleanup::clean_up,
        calls::export::export,
        calls::jobs::list,
        calls::jobs::show,
        calls::cancel::cancel,
        calls::namespaces::list,
        calls::verify::verify,
        calls::list::list,
        calls::config::config,
        calls::openapi::openapi
    ),
    components(schemas(schema::Failure, schema::GatewayFailure)),
    modifiers(&Common)
)]
struct Contract;

/// The document.
#[must_use]
pub fn document() -> openapi::OpenApi {
    Contract::openapi()
}

/// Adds the security scheme, and the failures that every call can return.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("jwt", SecurityScheme::Http(bearer));
        document.security = Some(vec![SecurityRequirement::new("jwt", [""; 0])]);
        for path in document.paths.paths.values_mut() {
            for operation in [&mut path.get, &mut path.post].into_iter().flatten() {
                add_failures(operation);
            }
            path.head = path.get.as_ref().map(without_bodies);
        }
    }
}

/// Every GET call also answers HEAD with the same status and headers and without a body.
fn without_bodies(get: &Operation) -> Operation {
    let mut head = get.clone();
    head.operation_id = head.operation_id.map(|id| format!("{id}Head"));
    for response in head.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.content.clear();
        }
    }
    head
}

fn add_failures(operation: &mut Operation) {
    // The default tag is the module of the call. It is not useful.
    operation.tags = None;
    let own = || RefOr::Ref(Ref::from_schema_name("Failure"));
    let gateways = || RefOr::Ref(Ref::from_schema_name("GatewayFailure"));
    let either = || -> RefOr<Schema> {
        let either = OneOfBuilder::new().item(own()).item(gateways());
        Schema::from(either.build()).into()
    };
    for (status, description, schema) in [
        (
            "400",
            "A value is invalid (`data.field`), or the answer is too large (`ANSWER_TOO_LARGE`): request smaller pages",
            own(),
        ),
        (
            "401",
            "The token is missing or invalid. API Gateway or the function answers",
            either(),
        ),
        ("403", "The role does not permit this call", own()),
        ("429", "Too many calls. API Gateway answers", gateways()),
        ("500", "Internal failure", either()),
        (
            "503",
            "Backups are disabled, settings are invalid, or a required service is unavailable",
            either(),
        ),
        ("504", "The call timed out", own()),
    ] {
        let response: Response = ResponseBuilder::new()
            .description(description)
            .content("application/json", Content::new(Some(schema)))
            .build();
        operation
            .responses
            .responses
            .entry(status.to_owned())
            .or_insert(response.into());
    }
}
