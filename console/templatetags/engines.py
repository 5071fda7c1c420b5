"""The tag that finds a Docker engine on this machine, for the pages of clusters."""

from django import template

from console.process.local_engine import find_local_engine

register = template.Library()

register.simple_tag(find_local_engine, name="local_engine")
