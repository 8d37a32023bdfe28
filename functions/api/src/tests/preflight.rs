//! The routes of the template for web pages in a browser.

/// The resources of the template with this text.
fn resources(text: &str) -> Vec<&'static str> {
    include_str!("../../../../template.yaml")
        .split("\n\n")
        .filter(|resource| resource.contains(text))
        .collect()
}

fn paths(method: &str) -> Vec<&'static str> {
    let key = format!("RouteKey: {method} ");
    let mut paths: Vec<_> = resources(&key)
        .into_iter()
        .filter_map(|resource| resource.split_once(&key)?.1.lines().next())
        .collect();
    paths.sort_unstable();
    paths
}

#[test]
fn every_path_has_a_preflight_without_a_token_if_an_origin_is_set() {
    assert_eq!(paths("OPTIONS"), paths("ANY"));
    assert_eq!(paths("OPTIONS").len(), 2);
    for route in resources("RouteKey: OPTIONS ") {
        assert!(route.contains("Condition: HasPreflight"), "{route}");
        assert!(!route.contains("Authoriz"), "{route}");
    }
}

#[test]
fn every_other_route_needs_a_token() {
    let routes = resources("Type: AWS::ApiGatewayV2::Route");
    let others = routes
        .iter()
        .filter(|route| !route.contains("RouteKey: OPTIONS "));
    assert_eq!(others.clone().count(), 3);
    for route in others {
        assert!(route.contains("AuthorizationType: JWT"), "{route}");
    }
}
