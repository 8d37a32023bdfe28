//! The OpenAPI document: made of the calls' own annotations, and of what all calls have in common.

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
        description = "Backups of a content platform. A call needs a JWT that API Gateway verifies, whose role claim \
                       names `admin` or `creator`."
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
pub(crate) fn document() -> openapi::OpenApi {
    Contract::openapi()
}

/// Tokens, and the failures that any call may answer.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
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

/// Each call by GET answers HEAD too: the same status and headers, and no body.
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
    // The module that a call stands in, which is nobody's tag.
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
            "A value is out of form, and `data.field` names it; or `ANSWER_TOO_LARGE`: ask for a smaller page",
            own(),
        ),
        ("401", "No verified token: API Gateway's own answer, or the function's", either()),
        ("403", "The role may not make this call", own()),
        ("429", "Too many calls: API Gateway's own answer", gateways()),
        ("500", "Something failed inside", either()),
        ("503", "Switched off, misconfigured, or a part that it needs is away", either()),
        ("504", "It took too long", own()),
    ] {
        let response: Response = ResponseBuilder::new()
            .description(description)
            .content("application/json", Content::new(Some(schema)))
            .build();
        operation.responses.responses.entry(status.to_owned()).or_insert(response.into());
    }
}
