// Logs: following, searching and showing them without freezing the page.
"use strict";
