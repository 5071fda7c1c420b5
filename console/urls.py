"""All addresses of the console. A view, its URL name and its template share one name."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path, register_converter
from django.views.generic import RedirectView

from console.pages.account import (
    confirm_views,
    factor_sign_in_views,
    factor_views,
    identity_views,
    link_views,
    passkey_views,
    provider_settings_views,
    provider_sign_in_views,
    session_views,
    sign_in_views,
    token_views,
)
from console.pages.api import views as api_views
from console.pages.applications import service_views, versions
from console.pages.applications import views as application_views
from console.pages.calls import evidence as call_evidence_views
from console.pages.calls import lifecycle_views, release_views
from console.pages.calls import views as call_views
from console.pages.clusters import image_views, node_views
from console.pages.clusters import views as cluster_views
from console.pages.containers import views as container_views
from console.pages.freezes import views as freeze_views
from console.pages.help import views as help_views
from console.pages.notifications import rules as notification_rules
from console.pages.notifications import sent as notification_sent_views
from console.pages.notifications import views as notification_views
from console.pages.overview import search_views
from console.pages.overview import views as overview_views
from console.pages.registries import delivery_views
from console.pages.registries import views as registry_views
from console.pages.shared.image_history import views as previous_views
from console.pages.shared.logs import views as log_views
from console.pages.triggers import proofs as proof_views
from console.pages.triggers import trigger_views as trigger_page_views
from console.pages.triggers import views as trigger_views
from console.pages.users import audit_views, factor_reset_views, identity_admin_views, sign_in_state_views
from console.pages.users import views as user_views
from console.telemetry import views as probe_views

register_converter(lifecycle_views.ActConverter, "act")

handler404 = "console.unknown_addresses.answer_unknown_address"

admin.site.site_title = "Windlass"
admin.site.index_title = "Administration"
admin.site.enable_nav_sidebar = False  # the console's own navigation is there

urlpatterns = [
    path("hook/", include("triggers.urls")),  # first, since it gets most requests
    path("", overview_views.overview, name="overview"),
    path("search/", search_views.search, name="search"),
    path("help/", help_views.help_index, name="help"),
    path("help/keys/", help_views.help_keys, name="help_keys"),
    path("help/images/<str:name>", help_views.help_picture, name="help_picture"),
    path("help/<slug:page>/", help_views.help_page, name="help_page"),
    path("applications/", application_views.applications, name="applications"),
    path("applications/versions/", versions.versions, name="versions"),
    path("applications/<int:application_id>/", application_views.application, name="application"),
    path("applications/<int:application_id>/previous/", previous_views.application_previous, name="application_previous"),
    path("applications/<int:application_id>/logs/", log_views.application_logs, name="application_logs"),
    path(
        "applications/<int:application_id>/logs/download/",
        log_views.application_logs_download,
        name="application_logs_download",
    ),
    path("applications/<int:application_id>/redeploy/", application_views.application_redeploy, name="application_redeploy"),
    path("applications/<int:application_id>/freezes/", freeze_views.application_freezes, name="application_freezes"),
    path(
        "applications/<int:application_id>/freezes/new/",
        freeze_views.application_freeze_create,
        name="application_freeze_create",
    ),
    path("applications/<int:application_id>/<act:act>/", lifecycle_views.application_act, name="application_act"),
    path("applications/<int:application_id>/triggers/new/", trigger_views.trigger_create, name="trigger_create"),
    path(
        "applications/<int:application_id>/triggers/repositories/",
        trigger_views.trigger_repositories,
        name="trigger_repositories",
    ),
    path("services/", service_views.services, name="services"),
    path("services/<int:service_id>/", service_views.service, name="service"),
    path("services/<int:service_id>/logs/", log_views.service_logs, name="service_logs"),
    path("services/<int:service_id>/logs/download/", log_views.service_logs_download, name="service_logs_download"),
    path("services/<int:service_id>/previous/", previous_views.service_previous, name="service_previous"),
    path("services/<int:service_id>/scale/", service_views.service_scale, name="service_scale"),
    path("services/<int:service_id>/reveal/", service_views.service_reveal, name="service_reveal"),
    path("containers/<int:container_id>/", container_views.container, name="container"),
    path("containers/<int:container_id>/use/", container_views.container_use, name="container_use"),
    path("containers/<int:container_id>/reveal/", container_views.container_reveal, name="container_reveal"),
    path("containers/<int:container_id>/logs/", log_views.container_logs, name="container_logs"),
    path("containers/<int:container_id>/logs/download/", log_views.container_logs_download, name="container_logs_download"),
    path("containers/<int:container_id>/<act:act>/", lifecycle_views.container_act, name="container_act"),
    path("clusters/", cluster_views.clusters, name="clusters"),
    path("clusters/new/", cluster_views.cluster_create, name="cluster_create"),
    path("clusters/test/", cluster_views.cluster_test, name="cluster_test"),
    path("clusters/local/", cluster_views.cluster_local, name="cluster_local"),
    path("clusters/<str:uid>/", cluster_views.cluster, name="cluster"),
    path("clusters/<str:uid>/engine/", cluster_views.cluster_engine, name="cluster_engine"),
    path("clusters/<str:uid>/disk/", cluster_views.cluster_disk, name="cluster_disk"),
    path("clusters/<str:uid>/events/", cluster_views.cluster_events, name="cluster_events"),
    path("clusters/<str:uid>/images/prune/", image_views.image_prune, name="image_prune"),
    path("clusters/<str:uid>/images/<str:image_id>/remove/", image_views.image_remove, name="image_remove"),
    path("clusters/<str:uid>/freezes/", freeze_views.cluster_freezes, name="cluster_freezes"),
    path("clusters/<str:uid>/freezes/new/", freeze_views.cluster_freeze_create, name="cluster_freeze_create"),
    path("clusters/<str:uid>/edit/", cluster_views.cluster_edit, name="cluster_edit"),
    path("clusters/<str:uid>/delete/", cluster_views.cluster_delete, name="cluster_delete"),
    path("freezes/<int:window_id>/edit/", freeze_views.freeze_edit, name="freeze_edit"),
    path("freezes/<int:window_id>/delete/", freeze_views.freeze_delete, name="freeze_delete"),
    path("images/", image_views.images, name="images"),
    path("registries/", registry_views.registries, name="registries"),
    path("registries/new/", registry_views.registry_create, name="registry_create"),
    path("registries/test/", registry_views.registry_test, name="registry_test"),
    path("registries/<int:registry_id>/", registry_views.registry, name="registry"),
    path("registries/<int:registry_id>/edit/", registry_views.registry_edit, name="registry_edit"),
    path("registries/<int:registry_id>/check/", registry_views.registry_check, name="registry_check"),
    path("registries/<int:registry_id>/reveal/", registry_views.registry_reveal, name="registry_reveal"),
    path("registries/<int:registry_id>/rotate/", registry_views.registry_rotate, name="registry_rotate"),
    path("registries/<int:registry_id>/delete/", registry_views.registry_delete, name="registry_delete"),
    path("deliveries/", delivery_views.deliveries, name="deliveries"),
    path("deliveries/<uuid:delivery_id>/", delivery_views.delivery, name="delivery"),
    path("deliveries/<uuid:delivery_id>/replay/", delivery_views.delivery_replay, name="delivery_replay"),
    path("notifications/", notification_views.notifications, name="notifications"),
    path("notifications/channels/new/", notification_views.channel_create, name="channel_create"),
    path("notifications/channels/<int:channel_id>/", notification_views.channel, name="channel"),
    path("notifications/channels/<int:channel_id>/edit/", notification_views.channel_edit, name="channel_edit"),
    path("notifications/channels/<int:channel_id>/rules/", notification_rules.channel_rules, name="channel_rules"),
    path("notifications/channels/<int:channel_id>/test/", notification_views.channel_test, name="channel_test"),
    path("notifications/channels/<int:channel_id>/switch/", notification_views.channel_switch, name="channel_switch"),
    path("notifications/channels/<int:channel_id>/key/", notification_views.channel_key, name="channel_key"),
    path("notifications/channels/<int:channel_id>/delete/", notification_views.channel_delete, name="channel_delete"),
    path("notifications/sent/", notification_sent_views.notifications_sent, name="notifications_sent"),
    path("notifications/sent/<int:delivery_id>/", notification_sent_views.notification_sent, name="notification_sent"),
    path("notifications/sent/<int:delivery_id>/again/", notification_sent_views.notification_again, name="notification_again"),
    path("nodes/", node_views.nodes, name="nodes"),
    path("nodes/<int:node_id>/", node_views.node, name="node"),
    path("triggers/", trigger_views.triggers, name="triggers"),
    path("triggers/<int:trigger_id>/", trigger_page_views.trigger, name="trigger"),
    path("triggers/<int:trigger_id>/narrow/", trigger_page_views.trigger_narrow, name="trigger_narrow"),
    path("triggers/<int:trigger_id>/allow/", trigger_page_views.trigger_allow, name="trigger_allow"),
    path("triggers/<int:trigger_id>/end-old-secret/", trigger_page_views.trigger_end_old, name="trigger_end_old"),
    path("triggers/<int:trigger_id>/call/", trigger_views.trigger_call, name="trigger_call"),
    path("triggers/<int:trigger_id>/edit/", trigger_views.trigger_edit, name="trigger_edit"),
    path("triggers/<int:trigger_id>/reveal/", trigger_views.trigger_reveal, name="trigger_reveal"),
    path("triggers/<int:trigger_id>/signature/", proof_views.trigger_signature, name="trigger_signature"),
    path("triggers/<int:trigger_id>/jobs/new/", proof_views.trusted_job_create, name="trusted_job_create"),
    path("triggers/<int:trigger_id>/jobs/<int:job_id>/edit/", proof_views.trusted_job_edit, name="trusted_job_edit"),
    path("triggers/<int:trigger_id>/jobs/<int:job_id>/delete/", proof_views.trusted_job_delete, name="trusted_job_delete"),
    path("triggers/<int:trigger_id>/rotate/", trigger_views.trigger_rotate, name="trigger_rotate"),
    path("triggers/<int:trigger_id>/switch/", trigger_views.trigger_switch, name="trigger_switch"),
    path("triggers/<int:trigger_id>/delete/", trigger_views.trigger_delete, name="trigger_delete"),
    path("activity/", call_views.activity, name="activity"),
    path("activity/export/", call_views.activity_export, name="activity_export"),
    path("calls/running/", call_views.running_calls, name="running_calls"),
    path("calls/<uuid:call_id>/", call_views.call, name="call"),
    path("calls/<uuid:call_id>/evidence/", call_evidence_views.call_evidence, name="call_evidence"),
    path("calls/<uuid:call_id>/previous/", previous_views.call_previous, name="call_previous"),
    path("calls/<uuid:call_id>/again/", call_views.call_again, name="call_again"),
    path("calls/<uuid:call_id>/release/", release_views.call_release, name="call_release"),
    path("calls/<uuid:call_id>/cancel/", call_views.call_cancel, name="call_cancel"),
    path("users/", user_views.users, name="users"),
    path("users/locks/<int:lock_id>/unlock/", sign_in_state_views.lock_end, name="lock_end"),
    path("users/new/", user_views.user_create, name="user_create"),
    path("users/<int:user_id>/", user_views.user, name="user"),
    path("users/<int:user_id>/role/", user_views.user_role, name="user_role"),
    path("users/<int:user_id>/switch/", user_views.user_switch, name="user_switch"),
    path("users/<int:user_id>/password/", user_views.user_password, name="user_password"),
    path("users/<int:user_id>/tokens/<str:key>/end/", user_views.user_token_end, name="user_token_end"),
    path("users/<int:user_id>/sessions/end/", sign_in_state_views.user_sessions_end, name="user_sessions_end"),
    path("users/<int:user_id>/second-factor/", factor_reset_views.user_factor_reset, name="user_factor_reset"),
    path("users/<int:user_id>/grants/", user_views.grant_create, name="grant_create"),
    path("users/<int:user_id>/invite/", identity_admin_views.user_invite, name="user_invite"),
    path("users/<int:user_id>/unlink/<int:identity_id>/", identity_admin_views.user_unlink, name="user_unlink"),
    path("grants/<int:grant_id>/delete/", user_views.grant_delete, name="grant_delete"),
    path("audit/", audit_views.audit, name="audit"),
    path("audit/export/", audit_views.audit_export, name="audit_export"),
    path("account/tokens/", token_views.tokens, name="tokens"),
    path("account/tokens/new/", token_views.token_create, name="token_create"),
    path("account/tokens/<str:key>/replace/", token_views.token_replace, name="token_replace"),
    path("account/tokens/<str:key>/end/", token_views.token_end, name="token_end"),
    path("theme/", sign_in_views.theme, name="theme"),
    path("login/", sign_in_views.sign_in, name="login"),
    path("login/link/", link_views.sign_in_link, name="sign_in_link"),
    path("account/sessions/", session_views.sessions, name="sessions"),
    path("account/sessions/end/", session_views.sessions_end, name="sessions_end"),
    path("account/sessions/<int:session_id>/end/", session_views.session_end, name="session_end"),
    path("login/second-factor/", factor_sign_in_views.sign_in_factor, name="sign_in_factor"),
    path("login/passkey/", factor_sign_in_views.sign_in_passkey, name="sign_in_passkey"),
    path("password/", sign_in_views.password, name="password"),
    path("account/second-factor/", factor_views.second_factor, name="second_factor"),
    path("account/second-factor/app/", factor_views.app_set_up, name="app_set_up"),
    path("account/second-factor/codes/", factor_views.recovery_codes, name="recovery_codes"),
    path("account/second-factor/passkeys/new/", passkey_views.passkey_add, name="passkey_add"),
    path("account/second-factor/<int:factor_id>/rename/", passkey_views.passkey_rename, name="passkey_rename"),
    path("account/second-factor/<int:factor_id>/remove/", factor_views.factor_remove, name="factor_remove"),
    path("account/second-factor/confirm/", confirm_views.confirm, name="confirm"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("login/provider/<str:provider_key>/", provider_sign_in_views.provider_sign_in, name="provider_sign_in"),
    path("login/callback/", provider_sign_in_views.provider_callback, name="provider_callback"),
    path("account/identities/", identity_views.identities, name="identities"),
    path("account/identities/link/<str:provider_key>/", identity_views.identity_link, name="identity_link"),
    path("account/identities/<int:identity_id>/unlink/", identity_views.identity_unlink, name="identity_unlink"),
    path("account/identities/invitation/", identity_views.invitation, name="invitation"),
    path("sign-in/", provider_settings_views.sign_in_settings, name="sign_in_settings"),
    path("sign-in/providers/new/", provider_settings_views.provider_create, name="provider_create"),
    path("sign-in/providers/<int:provider_id>/edit/", provider_settings_views.provider_edit, name="provider_edit"),
    path("sign-in/providers/<int:provider_id>/delete/", provider_settings_views.provider_delete, name="provider_delete"),
    path("sign-in/providers/<str:provider_key>/test/", provider_settings_views.provider_test, name="provider_test"),
    path("sign-in/providers/<str:provider_key>/groups/", provider_settings_views.mapping_create, name="mapping_create"),
    path("sign-in/groups/<int:mapping_id>/delete/", provider_settings_views.mapping_delete, name="mapping_delete"),
    path("login/", sign_in_views.sign_in, name="account_login"),  # allauth's names for the same
    path("logout/", LogoutView.as_view(), name="account_logout"),
    path("login/inactive/", sign_in_views.inactive, name="account_inactive"),
    path("healthz", probe_views.healthz, name="healthz"),
    path("readyz", probe_views.readyz, name="readyz"),
    path("metrics", probe_views.metrics, name="metrics"),
    path("api/", api_views.api, name="api"),
    path("api/reference/<slug:group>/", api_views.api_group, name="api_group"),
    path("api/", include("console.api")),
    path("admin/login/", RedirectView.as_view(pattern_name="login", query_string=True)),
    path("admin/password_change/", RedirectView.as_view(pattern_name="password")),
    path("admin/", admin.site.urls),
]
