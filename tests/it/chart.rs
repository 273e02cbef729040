//! The chart's text, without Helm; what it renders to is in `e2e::chart`.

#[test]
fn the_chart_leaves_whom_callers_believe_to_whoever_renews_it() {
    let template =
        include_str!("../../charts/cio-operator/templates/adapter/apiservice.yaml");
    let sets = |line: &&str| line.trim_start().starts_with("caBundle:");
    assert_eq!(template.lines().find(sets), None, "a rollback would bring it back");
}
