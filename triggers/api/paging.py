"""Pages of calls and deliveries, of which there may be a million: followed by their `next` and `previous` links, never
counted or skipped."""

from rest_framework.pagination import CursorPagination


class CallPagination(CursorPagination):
    page_size = 100
    page_size_query_param = "limit"
    max_page_size = 1000
    ordering = ("-queued_at", "-pk")


class DeliveryPagination(CallPagination):
    ordering = ("-received_at", "-pk")
