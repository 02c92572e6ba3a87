import { startPackage } from './load-package';
import { serve } from './serve';

serve(startPackage);
