"""Pages of calls, deliveries and notifications. A list can have a million rows, so clients follow `next` and `previous` links,
and rows are never counted or skipped."""

from rest_framework.pagination import CursorPagination


class CallPagination(CursorPagination):
    page_size = 100
    page_size_query_param = "limit"
    max_page_size = 1000
    ordering: tuple[str, ...] = ("-queued_at", "-pk")


class DeliveryPagination(CallPagination):
    ordering = ("-received_at", "-pk")


class SentPagination(CallPagination):
    ordering = ("-pk",)
