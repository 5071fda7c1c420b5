// Live use of a container: its small charts.
"use strict";
