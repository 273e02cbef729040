//! Path and query of a request → what is asked for. Pure.

use axum::extract::Query;
use axum::http::{Method, Uri};
use percent_encoding::percent_decode_str;
use serde::Deserialize;

use super::groups::{CUSTOM_METRICS, EXTERNAL_METRICS, Group, METRIC, Served};
use super::refusal::Refusal;
use super::selector::Selector;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Page {
    /// `/healthz` and `/livez`: the process answers.
    Alive,
    /// `/readyz`: it can answer for its metrics.
    Ready,
    /// What only known callers are told.
    Api(ApiPage),
}

/// What a request to the API asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ApiPage {
    /// `/apis`: the groups.
    Groups,
    /// `/apis/GROUP`.
    Group(&'static Group),
    /// `/apis/GROUP/VERSION`: the resources.
    Resources(&'static Group, &'static str),
    /// A metric of pods in `custom.metrics.k8s.io`.
    PodMetric(PodMetric),
    /// A metric in `external.metrics.k8s.io`.
    ExternalMetric(ExternalMetric),
}

impl ApiPage {
    /// The one group that it is about.
    pub(super) fn group(&self) -> Option<&'static Group> {
        match self {
            Self::Groups => None,
            Self::Group(group) | Self::Resources(group, _) => Some(group),
            Self::PodMetric(_) => Some(&CUSTOM_METRICS),
            Self::ExternalMetric(_) => Some(&EXTERNAL_METRICS),
        }
    }
}

/// A question for an external `cio_queue_depth`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExternalMetric {
    /// The namespace of the pipelines.
    pub(super) namespace: String,
    /// `labelSelector`: which series of the metric, by its label `pipeline`.
    pub(super) metric: Selector,
}

/// A question for `pods/cio_queue_depth`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PodMetric {
    /// The version of the group, in whose form the answer is.
    pub(super) version: CustomVersion,
    /// The namespace of the pods.
    pub(super) namespace: String,
    /// Which pods.
    pub(super) target: Target,
    /// `metricLabelSelector`: which series of the metric, by its label `pipeline`.
    pub(super) metric: Selector,
}

/// The pods that a question is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// `pods/*`, all that `labelSelector` selects: what the HPA asks.
    Selected(Selector),
    /// `pods/NAME`: a person asks.
    Named(String),
}

/// The two forms of a metric value list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CustomVersion {
    /// The current form.
    V1beta2,
    /// The older form.
    V1beta1,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Parameters {
    label_selector: String,
    metric_label_selector: String,
}

/// Reads a request's method, path and query, for a server that answers for `served`.
///
/// # Errors
/// What to answer instead.
pub(super) fn parse(method: &Method, uri: &Uri, served: &Served) -> Result<Page, Refusal> {
    if method != Method::GET {
        return Err(Refusal::MethodNotAllowed(method.to_string()));
    }
    let segments = segments(uri.path())?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments[..] {
        ["healthz" | "livez"] => Ok(Page::Alive),
        ["readyz"] => Ok(Page::Ready),
        ["apis", ref path @ ..] => api_page(path, uri, served).map(Page::Api),
        _ => Err(no_page(uri)),
    }
}

fn api_page(path: &[&str], uri: &Uri, served: &Served) -> Result<ApiPage, Refusal> {
    match path {
        [] => Ok(ApiPage::Groups),
        [group] => Ok(ApiPage::Group(find(served, group, uri)?)),
        [group, version, rest @ ..] => {
            let group = find(served, group, uri)?;
            let version = group.version(version).ok_or_else(|| no_page(uri))?;
            if rest.is_empty() {
                return Ok(ApiPage::Resources(group, version));
            }
            metric(group, version, rest, uri)
        }
    }
}

fn metric(group: &Group, version: &str, rest: &[&str], uri: &Uri) -> Result<ApiPage, Refusal> {
    match rest {
        ["namespaces", namespace, METRIC] if group == &EXTERNAL_METRICS => {
            let query = query(uri)?;
            Ok(ApiPage::ExternalMetric(ExternalMetric {
                namespace: (*namespace).to_owned(),
                metric: selector("labelSelector", &query.label_selector)?,
            }))
        }
        ["namespaces", _, metric] if group == &EXTERNAL_METRICS => Err(no_metric(metric)),
        ["namespaces", namespace, "pods", pods, METRIC] if group == &CUSTOM_METRICS => {
            pod_metric(version, namespace, pods, uri).map(ApiPage::PodMetric)
        }
        ["namespaces", _, _, _, metric] if group == &CUSTOM_METRICS => Err(no_metric(metric)),
        ["namespaces", _, "metrics", metric] if group == &CUSTOM_METRICS => Err(no_metric(metric)),
        _ => Err(no_page(uri)),
    }
}

fn pod_metric(version: &str, namespace: &str, pods: &str, uri: &Uri) -> Result<PodMetric, Refusal> {
    let query = query(uri)?;
    let target = match pods {
        "*" => Target::Selected(selector("labelSelector", &query.label_selector)?),
        name => Target::Named(name.to_owned()),
    };
    Ok(PodMetric {
        version: match version {
            "v1beta1" => CustomVersion::V1beta1,
            _ => CustomVersion::V1beta2,
        },
        namespace: namespace.to_owned(),
        target,
        metric: selector("metricLabelSelector", &query.metric_label_selector)?,
    })
}

fn query(uri: &Uri) -> Result<Parameters, Refusal> {
    match Query::try_from_uri(uri) {
        Ok(Query(query)) => Ok(query),
        Err(error) => Err(Refusal::BadRequest(format!(
            "cannot read the query: {error}"
        ))),
    }
}

fn selector(parameter: &str, text: &str) -> Result<Selector, Refusal> {
    Selector::parse(text).map_err(|error| Refusal::BadRequest(format!("{parameter}: {error}")))
}

/// The path's segments, decoded one by one: the HPA's `*` may arrive as `%2A`.
fn segments(path: &str) -> Result<Vec<String>, Refusal> {
    path.trim_matches('/')
        .split('/')
        .map(|segment| percent_decode_str(segment).decode_utf8())
        .map(|decoded| decoded.map(std::borrow::Cow::into_owned))
        .collect::<Result<_, _>>()
        .map_err(|_| Refusal::BadRequest("the path is not UTF-8".to_owned()))
}

fn find(served: &Served, group: &str, uri: &Uri) -> Result<&'static Group, Refusal> {
    served.named(group).ok_or_else(|| no_page(uri))
}

fn no_page(uri: &Uri) -> Refusal {
    let path = uri.path();
    Refusal::NotFound(format!(
        "the server could not find the requested resource {path}"
    ))
}

fn no_metric(metric: &str) -> Refusal {
    Refusal::NotFound(format!(
        "the server could not find the metric {metric}; it serves {METRIC} alone"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::groups::MetricsApi;

    fn get_from(apis: &[MetricsApi], uri: &str) -> Result<Page, Refusal> {
        parse(&Method::GET, &uri.parse().unwrap(), &Served::new(apis))
    }

    fn get(uri: &str) -> Result<Page, Refusal> {
        get_from(&[MetricsApi::Custom], uri)
    }

    const PODS: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods";

    #[test]
    fn pages_are_found_by_their_path() {
        for (path, expected) in [
            ("/healthz", Page::Alive),
            ("/livez", Page::Alive),
            ("/readyz", Page::Ready),
            ("/apis", Page::Api(ApiPage::Groups)),
            ("/apis/", Page::Api(ApiPage::Groups)),
            (
                "/apis/custom.metrics.k8s.io",
                Page::Api(ApiPage::Group(&CUSTOM_METRICS)),
            ),
            (
                "/apis/custom.metrics.k8s.io/v1beta1?timeout=32s",
                Page::Api(ApiPage::Resources(&CUSTOM_METRICS, "v1beta1")),
            ),
        ] {
            assert_eq!(get(path), Ok(expected), "{path}");
        }
    }

    #[test]
    fn the_question_of_the_hpa_is_understood_in_both_spellings() {
        let query = "labelSelector=app%3Dx%2Ccio.dev%2Fpipeline%3Devents&metricLabelSelector=";
        for every in ["*", "%2A", "%2a"] {
            let asked = get(&format!("{PODS}/{every}/cio_queue_depth?{query}"));
            let expected = PodMetric {
                version: CustomVersion::V1beta2,
                namespace: "shop".to_owned(),
                target: Target::Selected(Selector::parse("app=x,cio.dev/pipeline=events").unwrap()),
                metric: Selector::default(),
            };
            assert_eq!(
                asked,
                Ok(Page::Api(ApiPage::PodMetric(expected))),
                "{every}"
            );
        }
    }

    #[test]
    fn one_pod_can_be_asked_for_by_name() {
        let path = "/apis/custom.metrics.k8s.io/v1beta1/namespaces/shop/pods/a-1/cio_queue_depth";
        let expected = PodMetric {
            version: CustomVersion::V1beta1,
            namespace: "shop".to_owned(),
            target: Target::Named("a-1".to_owned()),
            metric: Selector::default(),
        };
        assert_eq!(get(path), Ok(Page::Api(ApiPage::PodMetric(expected))));
    }

    #[test]
    fn the_external_metric_is_found_where_it_is_served() {
        let base = "/apis/external.metrics.k8s.io/v1beta1";
        let path =
            format!("{base}/namespaces/shop/cio_queue_depth?labelSelector=pipeline%3Devents");
        let expected = ExternalMetric {
            namespace: "shop".to_owned(),
            metric: Selector::parse("pipeline=events").unwrap(),
        };
        let both = [MetricsApi::Custom, MetricsApi::External];
        let expected = Page::Api(ApiPage::ExternalMetric(expected));
        assert_eq!(get_from(&both, &path), Ok(expected));
        for (apis, path, code) in [
            (&both[..1], path, 404),
            (&both[1..], format!("{PODS}/*/cio_queue_depth"), 404),
            (&both, format!("{base}/namespaces/shop/other"), 404),
            (
                &both,
                format!("{base}/namespaces/shop/a/cio_queue_depth"),
                404,
            ),
            (
                &both,
                format!("{base}/namespaces/shop/cio_queue_depth?labelSelector=a%3E3"),
                400,
            ),
        ] {
            let refusal = get_from(apis, &path).unwrap_err();
            assert_eq!(refusal.code().as_u16(), code, "{path}: {refusal}");
        }
    }

    #[test]
    fn what_is_not_served_is_refused_with_the_right_code() {
        let group = "/apis/custom.metrics.k8s.io";
        for (path, code) in [
            ("/".to_owned(), 404),
            ("/metrics".to_owned(), 404),
            ("/openapi/v2".to_owned(), 404),
            ("/openapi/v3".to_owned(), 404),
            ("/apis/apps".to_owned(), 404),
            ("/apis/apps/v1".to_owned(), 404),
            (format!("{group}/v1beta3"), 404),
            (format!("{group}/v1beta2/namespaces/shop"), 404),
            (format!("{PODS}/*/other_metric"), 404),
            (format!("{PODS}/*"), 404),
            (
                format!("{group}/v1beta2/namespaces/shop/metrics/cio_queue_depth"),
                404,
            ),
            (
                format!("{group}/v1beta2/namespaces/shop/deployments.apps/x/cio_queue_depth"),
                404,
            ),
            (format!("{PODS}/*/cio_queue_depth?labelSelector=a%3E3"), 400),
            (
                format!("{PODS}/*/cio_queue_depth?metricLabelSelector=%3D"),
                400,
            ),
            (format!("{PODS}/%FF/cio_queue_depth"), 400),
        ] {
            let refusal = get(&path).unwrap_err();
            assert_eq!(refusal.code().as_u16(), code, "{path}: {refusal}");
        }
        let served = Served::new(&[MetricsApi::Custom]);
        let refusal = parse(&Method::POST, &"/apis".parse().unwrap(), &served).unwrap_err();
        assert_eq!(refusal.code().as_u16(), 405);
    }
}
